/// Which node `pgtandem promote` means, and what a relay's refusal asks to be confirmed. Pure.
#pragma once
#include <optional>
#include <string>

#include "server-relay/tool/pair-status.h"

namespace pgtandem::tool {

/// The node to promote where none was named: the one that answers as a standby, or the only one that answers.
/// A Failure (command.h) where a master answers, or where that is not clear.
Node choose_promoted(const PairStatus& pair);

/// What the operator has to accept for the promotion, taken from the relay's refusal.
struct PromoteDemand {
  std::string accept_loss_since;
  bool data_may_be_old = false;
};
/// Nothing where the refusal is for another reason. `body`: the refusal's JSON, `what_to_do`: its advice.
std::optional<PromoteDemand> read_demand(const std::string& body, const std::string& what_to_do);

}  // namespace pgtandem::tool
