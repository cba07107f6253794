/// What the settings need from the system, a sibling file for each kind of it.
#pragma once
#include <string>

namespace pgtandem::config {

/// The name of the user of this process; empty if it has none.
std::string current_user();
/// The user's home folder; empty if unknown.
std::string home_folder();

}  // namespace pgtandem::config
