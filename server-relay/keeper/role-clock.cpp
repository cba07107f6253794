#include "server-relay/keeper/role-clock.h"

#include "common/base/boot-clock.h"

namespace pgtandem {

Now role_clock_now() {
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  return {Milliseconds(boottime_ms()), std::chrono::duration_cast<Milliseconds>(wall)};
}

}  // namespace pgtandem
