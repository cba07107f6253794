#include <cerrno>
#include <cstdint>
#include <sys/eventfd.h>
#include <system_error>
#include <unistd.h>

#include "server-relay/service/interrupt.h"

namespace pgtandem {

Interrupt::Interrupt() : signal_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (signal_ < 0)
    throw std::system_error(errno, std::generic_category(), "eventfd for a service connection");
}

Interrupt::~Interrupt() {
  close(signal_);
}

void Interrupt::raise() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written =
      write(signal_, &one, sizeof one);  // full only if it was raised 2^64 times
}

}  // namespace pgtandem
