#include "server-relay/bootstrap/pair-view.h"

#include "common/control/control-client.h"
#include "server-relay/bootstrap/run-now.h"

namespace pgtandem::bootstrap {
namespace {

Result<StatusAnswer> ask(const Endpoint& control) {
  return run_now(ControlClient(control).status());
}

void ask_target(PairView& pair) {
  const auto address = pair.active.nodes.find(pair.target);
  if (address == pair.active.nodes.end()) {
    pair.target_error = "the active relay does not know its address";
    return;
  }
  pair.target_control = {address->second.host, address->second.control_port};
  Result<StatusAnswer> answer = ask(pair.target_control);
  if (answer) {
    pair.target_relay = std::move(answer->view);
  } else {
    pair.target_error = answer.error();
  }
}

}  // namespace

std::optional<std::size_t> choose_active(const std::vector<std::optional<StatusView>>& answers) {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (!answers[i] || !answers[i]->active()) continue;
    if (!best || answers[i]->role.epoch > answers[*best]->role.epoch) best = i;
  }
  return best;
}

Result<PairView> find_pair(const std::vector<RelayAddress>& relays) {
  if (relays.empty()) return Error{"no relay is named; give --config FILE or --relay HOST:PORT/CONTROL_PORT"};
  std::vector<std::optional<StatusView>> answers;
  std::string seen;
  for (const RelayAddress& relay : relays) {
    const Endpoint control{relay.host, relay.control_port};
    const Result<StatusAnswer> answer = ask(control);
    answers.push_back(answer ? std::optional(answer->view) : std::nullopt);
    seen += (seen.empty() ? "" : "; ") + to_string(control) + ": " +
            (answer ? answer->view.role.state : answer.error());
  }
  const std::optional<std::size_t> active = choose_active(answers);
  if (!active) return Error{"no relay serves as master (" + seen + "); see pgtandem status"};
  PairView pair;
  pair.active_control = {relays[*active].host, relays[*active].control_port};
  pair.active = *answers[*active];
  pair.source =
      pair.active.role.data_node != Node::none ? pair.active.role.data_node : pair.active.role.master;
  pair.target = other(pair.source);
  if (pair.active.pair_mode) ask_target(pair);
  return pair;
}

}  // namespace pgtandem::bootstrap
