/// What both relays say, taken together: which one is active, and how the pair is. Pure.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "common/control/status-view.h"
#include "server-relay/tool/exit-status.h"

namespace pgtandem::tool {

/// One relay's answer, or why there is none.
struct RelayStatus {
  std::string control_port;  ///< "hosta:8432", as it was asked
  std::optional<StatusView> view;
  std::string json;   ///< the answer as it came
  std::string error;  ///< where there is no view
};

using PairStatus = std::vector<RelayStatus>;

enum class Health {
  healthy,   ///< a master with its standby joined
  degraded,  ///< somebody serves, but the loss of that node would stop the service or lose writes
  down,      ///< nobody serves
};

struct Judgement {
  Health health = Health::down;
  std::string word;      ///< HEALTHY, DEGRADED, SPLIT, NO MASTER, NO ANSWER
  std::string sentence;  ///< for people
  const RelayStatus* active = nullptr;
};

/// The active relay of the highest epoch, or null (3-roles, Forwarder).
const RelayStatus* find_active(const PairStatus& pair);
/// The relay of that node, or null where none said it is.
const RelayStatus* find_node(const PairStatus& pair, Node node);
Judgement judge(const PairStatus& pair);
ExitStatus exit_status(Health health);
/// The commands that the relays propose, without repetition; where nothing answers, what to look at.
std::vector<std::string> next_steps(const PairStatus& pair);

}  // namespace pgtandem::tool
