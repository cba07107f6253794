/// The clock of stalls and rights.
#pragma once
#include <cstdint>

namespace pgtandem {

/// Milliseconds since the host started. Goes on while a virtual machine or laptop sleeps, where the system
/// has such a clock: a process that was suspended has stood still. Thread-safe.
std::int64_t boottime_ms();

}  // namespace pgtandem
