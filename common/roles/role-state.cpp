#include "common/roles/role-state.h"

#include <array>
#include <string>

namespace pgtandem {
namespace {

constexpr std::array<std::string_view, kRoleStates> kNames = {"RECOVER",   "STALE",  "BOOTSTRAP", "STANDBY",
                                                              "CANDIDATE", "MASTER", "DEGRADING", "ALONE",
                                                              "DRAINING",  "FENCED", "SPLIT"};

}  // namespace

std::string_view to_string(RoleState state) {
  return kNames[std::size_t(state)];
}

Result<RoleState> parse_role_state(std::string_view text) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == text) return RoleState(i);
  }
  return Error{"'" + std::string(text) + "' is not the name of a role state"};
}

}  // namespace pgtandem
