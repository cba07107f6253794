#include "server-relay/service/interrupt.h"

#include <array>

namespace pgtandem {

void Interrupt::pause(ServiceClock::time_point deadline) const {
  PolledSocket signal{signal_, true};
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - ServiceClock::now());
    if (left.count() <= 0 || poll_sockets({&signal, 1}, left) > 0) return;
  }
}

bool Interrupt::wait(PolledSocket socket, ServiceClock::time_point deadline) const {
  std::array<PolledSocket, 2> both{PolledSocket{signal_, true}, socket};
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - ServiceClock::now());
    if (left.count() <= 0) return false;
    if (poll_sockets(both, left) > 0) return !both[0].ready;
  }
}

}  // namespace pgtandem
