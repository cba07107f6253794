/// What the settings need from the system, a sibling file for each kind of it.
#pragma once
#include <string>

namespace pgtandem::config {

/// Can a program go to the background by itself? And how do full paths begin, in words?
#ifdef _WIN32
inline constexpr bool kHasDaemons = false;
inline constexpr const char* kFullPathBegin = "a drive";
#else
inline constexpr bool kHasDaemons = true;
inline constexpr const char* kFullPathBegin = "a slash";
#endif

/// The name of the user of this process; empty if it has none.
std::string current_user();
/// The user's home folder; empty if unknown.
std::string home_folder();

}  // namespace pgtandem::config
