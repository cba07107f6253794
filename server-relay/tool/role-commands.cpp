/// The short commands that change a role: init, fence, giveup.
#include <ostream>

#include <nlohmann/json.hpp>

#include "server-relay/tool/command.h"
#include "server-relay/tool/pair-client.h"

namespace pgtandem::tool {
namespace {

using nlohmann::json;

std::string name_of(Node node) {
  return "node " + std::string(to_string(node));
}

/// The relay that a command without --node can only mean: where there is just one.
Node only_node(const PairStatus& pair, const char* command) {
  if (pair.size() == 1 && pair.front().view && !pair.front().view->pair_mode) return pair.front().view->node;
  throw Failure{kUsage, std::string("which node? pgtandem ") + command + " --node a, or --node b"};
}

}  // namespace

int init_command(Context& context) {
  cxxopts::Options options = make_options(
      "init",
      "The first start of a pair: names the node whose data count. The other node then needs a bootstrap,\n"
      "unless --standby-is-equal says that both servers hold the same data already.");
  options.add_options()("master", "The node that becomes master (default: a).", cxxopts::value<std::string>(),
                        "a|b")(
      "standby-is-equal",
      "Your word that both servers hold the same data: the standby joins without a bootstrap.");
  const auto parsed = parse(context, options);
  if (!parsed) return kOk;
  const PairStatus pair = ask_pair(context.settings);
  Node master = node_option(*parsed, "master");
  if (master == Node::none) master = Node::a;
  const bool equal = parsed->count("standby-is-equal") > 0;
  const RelayStatus& relay = require_node(pair, master);
  const CommandAnswer answer =
      send_command(context, relay, "init", {{"master", to_string(master)}, {"standby_is_equal", equal}});
  return report_answer(context, relay, answer,
                       name_of(master) + " is master" +
                           (equal ? ", and the standby was taken as equal by your word"
                                  : "; next: pgtandem bootstrap, to load " + name_of(other(master))));
}

int fence_command(Context& context) {
  cxxopts::Options options = make_options(
      "fence", "Makes a node end its sessions and refuse clients until it is promoted or bootstrapped.");
  options.add_options()("node", "The node to fence.", cxxopts::value<std::string>(), "a|b")(
      "yes", "Do not ask (for scripts).");
  const auto parsed = parse(context, options);
  if (!parsed) return kOk;
  const PairStatus pair = ask_pair(context.settings);
  Node node = node_option(*parsed, "node");
  if (node == Node::none) node = only_node(pair, "fence");
  const RelayStatus& relay = require_node(pair, node);
  if (relay.view->active() && parsed->count("yes") == 0) {
    confirm(context,
            name_of(node) + " serves clients: " + count_text(relay.view->sessions_open) +
                " sessions will be ended, and nobody is served until another node is promoted.",
            "fence", "--yes");
  }
  const CommandAnswer answer = send_command(context, relay, "fence", json::object());
  return report_answer(context, relay, answer, name_of(node) + " is fenced");
}

int giveup_command(Context& context) {
  cxxopts::Options options = make_options(
      "giveup",
      "After a split (both nodes went on alone): names the node whose copy is given up. It becomes stale,\n"
      "and is loaded anew by the next bootstrap; until then its data stay as they are.");
  options.add_options()("node", "The node whose copy is given up.", cxxopts::value<std::string>(), "a|b")(
      "yes", "Do not ask (for scripts).");
  const auto parsed = parse(context, options);
  if (!parsed) return kOk;
  const Node node = node_option(*parsed, "node");
  if (node == Node::none)
    throw Failure{kUsage, "which copy is given up? pgtandem giveup --node a, or --node b"};
  const PairStatus pair = ask_pair(context.settings);
  const RelayStatus& relay = require_node(pair, node);
  if (parsed->count("yes") == 0) {
    confirm(context,
            "What only " + name_of(node) +
                " holds will be gone after the next bootstrap. Save it first if you need it.",
            "giveup", "--yes");
  }
  const CommandAnswer answer = send_command(context, relay, "giveup", json::object());
  return report_answer(context, relay, answer,
                       name_of(node) + " gave its copy up; next: pgtandem promote --node " +
                           std::string(to_string(other(node))) +
                           " if it does not serve yet, then pgtandem bootstrap");
}

}  // namespace pgtandem::tool
