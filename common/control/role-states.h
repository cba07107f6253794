/// The states of a node as the status JSON names them (3-roles: the table of states).
#pragma once
#include <algorithm>
#include <array>
#include <string_view>

namespace pgtandem {

inline constexpr std::array<std::string_view, 11> kRoleStates{"RECOVER",   "STALE",  "BOOTSTRAP", "STANDBY",
                                                              "CANDIDATE", "MASTER", "DEGRADING", "ALONE",
                                                              "DRAINING",  "FENCED", "SPLIT"};

inline bool is_role_state(std::string_view state) {
  return std::find(kRoleStates.begin(), kRoleStates.end(), state) != kRoleStates.end();
}
/// The states in which a node is the one that frontends belong to.
inline bool is_active_state(std::string_view state) {
  return state == "MASTER" || state == "ALONE" || state == "DEGRADING" || state == "DRAINING";
}

}  // namespace pgtandem
