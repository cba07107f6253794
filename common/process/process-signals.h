/// Which signals tell a process what; a sibling file for each kind of system.
#pragma once
#include <vector>

namespace pgtandem {

/// To stop in order; a second one: at once.
std::vector<int> stop_signals();
/// To read the settings again and to open the log file anew.
std::vector<int> reload_signals();

}  // namespace pgtandem
