/// Which relay is active and what both say, by their control ports.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/config/settings.h"
#include "common/control/status-view.h"

namespace pgtandem::bootstrap {

struct PairView {
  Endpoint active_control;  ///< control port of the active relay
  StatusView active;
  Node source = Node::none;  ///< whose data is copied
  Node target = Node::none;
  std::optional<StatusView> target_relay;  ///< pair mode; nothing where it does not answer
  std::string target_error;                ///< why not
  Endpoint target_control;
};

/// Asks every relay; the active one of the highest epoch counts. Pure part of find_pair().
std::optional<std::size_t> choose_active(const std::vector<std::optional<StatusView>>& answers);
/// The error names every relay with its state or why it did not answer.
Result<PairView> find_pair(const std::vector<RelayAddress>& relays);

}  // namespace pgtandem::bootstrap
