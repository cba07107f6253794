#include "server-relay/keeper/role-clock.h"

#include <ctime>

namespace pgtandem {
namespace {

Milliseconds read_clock(clockid_t clock) {
  timespec at{};
  ::clock_gettime(clock, &at);
  return std::chrono::seconds(at.tv_sec) +
         std::chrono::duration_cast<Milliseconds>(std::chrono::nanoseconds(at.tv_nsec));
}

}  // namespace

Now role_clock_now() {
#ifdef CLOCK_BOOTTIME
  return {read_clock(CLOCK_BOOTTIME), read_clock(CLOCK_REALTIME)};
#else
  return {read_clock(CLOCK_MONOTONIC), read_clock(CLOCK_REALTIME)};
#endif
}

}  // namespace pgtandem
