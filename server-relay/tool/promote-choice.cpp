#include "server-relay/tool/promote-choice.h"

#include <nlohmann/json.hpp>

#include "server-relay/tool/command.h"

namespace pgtandem::tool {
namespace {

Failure master_answers(const StatusView& master) {
  const std::string self(to_string(master.node));
  const std::string peer(to_string(other(master.node)));
  return {kRefused, "node " + self + " is master and answers\n  do: to make node " + peer +
                        " master all the same: pgtandem promote --node " + peer};
}

}  // namespace

Node choose_promoted(const PairStatus& pair) {
  const RelayStatus* standby = nullptr;
  const RelayStatus* answering = nullptr;
  std::size_t answers = 0;
  for (const RelayStatus& relay : pair) {
    if (!relay.view) continue;
    if (relay.view->active()) throw master_answers(*relay.view);
    ++answers;
    answering = &relay;
    if (relay.view->role.state == "STANDBY") standby = &relay;
  }
  if (standby) return standby->view->node;
  if (answers == 1) return answering->view->node;
  if (answers > 1) {
    throw Failure{kUsage,
                  "both nodes answer and neither is the standby: pgtandem promote --node a, or --node b "
                  "(pgtandem status shows their states)"};
  }
  std::string text = "no relay answers";
  for (const RelayStatus& relay : pair) text += "; " + relay.control_port + ": " + printable(relay.error);
  throw Failure{kUnavailable, text + "\n  do: start the relay of the node to promote"};
}

std::optional<PromoteDemand> read_demand(const std::string& body, const std::string& what_to_do) {
  PromoteDemand demand;
  const auto json = nlohmann::json::parse(body, nullptr, false);
  if (json.is_object() && json.contains("accept_loss_since") && json["accept_loss_since"].is_string()) {
    demand.accept_loss_since = json["accept_loss_since"].get<std::string>();
  } else {
    constexpr std::string_view kOption = "--accept-loss-since=";
    const std::size_t at = what_to_do.find(kOption);
    if (at == std::string::npos) return std::nullopt;
    const std::size_t begin = at + kOption.size();
    demand.accept_loss_since = what_to_do.substr(begin, what_to_do.find_first_of(" ,;\n", begin) - begin);
  }
  if (demand.accept_loss_since.empty()) return std::nullopt;
  demand.data_may_be_old = what_to_do.find("--data-may-be-old") != std::string::npos;
  return demand;
}

}  // namespace pgtandem::tool
