/// The named states of a node (docs/states.md).
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/base/result.h"

namespace pgtandem {

enum class RoleState : std::uint8_t {
  recover,
  stale,
  bootstrap,
  standby,
  candidate,
  master,
  degrading,
  alone,
  draining,
  fenced,
  split,
};
inline constexpr std::size_t kRoleStates = 11;

/// "RECOVER", "STALE" and so on, as operators see them.
std::string_view to_string(RoleState state);
Result<RoleState> parse_role_state(std::string_view text);

/// The node acts as the master of its epoch. A forwarder follows the active node of the highest epoch.
constexpr bool is_active(RoleState state) {
  return state == RoleState::master || state == RoleState::degrading || state == RoleState::alone ||
         state == RoleState::draining;
}

}  // namespace pgtandem
