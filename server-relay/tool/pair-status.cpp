#include "server-relay/tool/pair-status.h"

#include <algorithm>

#include "server-relay/tool/text.h"

namespace pgtandem::tool {
namespace {

std::string node_name(Node node) {
  return "node " + std::string(to_string(node));
}

bool is_split(const RelayStatus& relay) {
  return relay.view && relay.view->role.state == "SPLIT";
}

std::string because(const std::string& reason) {
  return reason.empty() ? "" : ": " + printable(reason);
}

Judgement judge_active(const RelayStatus& active) {
  const StatusView& view = *active.view;
  const std::string self = node_name(view.node);
  const std::string peer = node_name(other(view.node));
  Judgement result{Health::degraded, "DEGRADED", {}, &active};
  if (view.role.state == "DEGRADING") {
    result.sentence = self + " is master and holds its outputs until the loss of " + peer + " is recorded";
  } else if (view.role.state == "DRAINING") {
    result.sentence = self + " is stopping or handing over";
  } else if (view.role.data_node != view.node && view.role.data_node != Node::none) {
    result.sentence = "the relay of " + self + " serves with the data of " + node_name(view.role.data_node) +
                      ", since its own postmaster was lost";
  } else if (view.role.state == "MASTER" && view.standby_joined) {
    result.health = Health::healthy;
    result.word = "HEALTHY";
    result.sentence = self + " is master, " + peer + " is joined and may take over";
  } else {
    result.sentence = self + " serves alone, " + peer + " is not joined" + because(view.stale_reason);
  }
  return result;
}

}  // namespace

const RelayStatus* find_active(const PairStatus& pair) {
  const RelayStatus* best = nullptr;
  for (const RelayStatus& relay : pair) {
    if (!relay.view || !relay.view->active()) continue;
    if (!best || relay.view->role.epoch > best->view->role.epoch) best = &relay;
  }
  return best;
}

const RelayStatus* find_node(const PairStatus& pair, Node node) {
  for (const RelayStatus& relay : pair) {
    if (relay.view && relay.view->node == node) return &relay;
  }
  return nullptr;
}

Judgement judge(const PairStatus& pair) {
  if (const RelayStatus* active = find_active(pair)) return judge_active(*active);
  Judgement result;
  if (std::any_of(pair.begin(), pair.end(), is_split)) {
    result.word = "SPLIT";
    result.sentence = "both nodes went on alone; nobody serves until you name the copy to give up";
    return result;
  }
  const bool any = std::any_of(pair.begin(), pair.end(), [](const RelayStatus& relay) { return relay.view; });
  result.word = any ? "NO MASTER" : "NO ANSWER";
  result.sentence = any ? "no node that answers serves clients" : "no relay answers";
  return result;
}

ExitStatus exit_status(Health health) {
  switch (health) {
    case Health::healthy:
      return kOk;
    case Health::degraded:
      return kDegraded;
    case Health::down:
      return kDown;
  }
  return kDown;
}

std::vector<std::string> next_steps(const PairStatus& pair) {
  std::vector<std::string> steps;
  const auto add = [&](const std::string& step) {
    if (!step.empty() && std::find(steps.begin(), steps.end(), step) == steps.end()) steps.push_back(step);
  };
  const RelayStatus* active = find_active(pair);
  if (active) add(printable(active->view->hint));
  for (const RelayStatus& relay : pair) {
    if (relay.view && &relay != active) add(printable(relay.view->hint));
  }
  for (const RelayStatus& relay : pair) {
    if (!relay.view) add("look at the relay of " + relay.control_port + ": systemctl status pgtandem-relay");
  }
  return steps;
}

}  // namespace pgtandem::tool
