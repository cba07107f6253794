/// What the process needs from its system before anything else runs; a sibling file for each kind of it.
#pragma once
#include <cstdint>

namespace pgtandem {

/// Raises the limit of open files to what is allowed and gives it (0: unknown or none), and lets writes to a
/// closed connection fail instead of ending the process.
std::uint64_t prepare_process();

}  // namespace pgtandem
