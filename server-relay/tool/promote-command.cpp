#include <ostream>

#include <nlohmann/json.hpp>

#include "server-relay/tool/command.h"
#include "server-relay/tool/pair-client.h"
#include "server-relay/tool/promote-choice.h"

namespace pgtandem::tool {
namespace {

nlohmann::json promote_body(bool host_is_off, const std::string& since, bool data_may_be_old) {
  return {
      {"other_host_is_off", host_is_off}, {"accept_loss_since", since}, {"data_may_be_old", data_may_be_old}};
}

std::string question(Node node, const CommandAnswer& refusal, const PromoteDemand& demand) {
  const std::string self(to_string(node));
  const std::string peer(to_string(other(node)));
  std::string text = printable(refusal.error) + ".\n\n" + "  - Host " + peer +
                     " must be off. If it still runs and only the network between is cut, it still "
                     "serves\n    clients, and there will be two masters with different data.\n";
  if (demand.accept_loss_since == "unknown") {
    text += "  - What node " + peer + " acknowledged since node " + self +
            " last heard of it exists only there.\n";
  } else {
    text += "  - Node " + self + " has last heard of node " + peer + " at " +
            printable(demand.accept_loss_since) +
            ". What that node acknowledged since\n    then exists only there.\n";
  }
  if (demand.data_may_be_old) {
    text += "  - The data of node " + self +
            " were left behind before that: what was acknowledged since is lost.\n";
  }
  return text;
}

}  // namespace

int promote_command(Context& context) {
  cxxopts::Options options =
      make_options("promote",
                   "Makes a node the master, after the other one was lost. On a terminal it tells what that "
                   "means and asks;\n"
                   "a script repeats what was shown: --other-host-is-off --accept-loss-since=TIME");
  options.add_options()("node", "The node that becomes master (default: the one that is the standby).",
                        cxxopts::value<std::string>(), "a|b")(
      "other-host-is-off", "Your word that the other host is off. A wrong word makes two masters.")(
      "accept-loss-since", "The time that the refusal shows: what was acknowledged after it may be lost.",
      cxxopts::value<std::string>(),
      "TIME")("data-may-be-old", "Promote although this copy is known to have missed writes.");
  const auto parsed = parse(context, options);
  if (!parsed) return kOk;
  const bool off = parsed->count("other-host-is-off") > 0;
  const bool old = parsed->count("data-may-be-old") > 0;
  const std::string since = parsed->count("accept-loss-since") > 0
                                ? (*parsed)["accept-loss-since"].as<std::string>()
                                : std::string();
  if (off != !since.empty()) {
    throw Failure{kUsage, "--other-host-is-off and --accept-loss-since=TIME go together"};
  }
  const PairStatus pair = ask_pair(context.settings);
  Node node = node_option(*parsed, "node");
  if (node == Node::none) node = choose_promoted(pair);
  const RelayStatus& relay = require_node(pair, node);
  const std::string done = "node " + std::string(to_string(node)) + " is master";
  CommandAnswer answer = send_command(context, relay, "promote", promote_body(off, since, old));
  const auto demand = answer.ok ? std::nullopt : read_demand(answer.body, answer.what_to_do);
  // A script has said what it accepts, or has to; what it said and the relay refuses is not asked again.
  if (!demand || off || !context.in_terminal) return report_answer(context, relay, answer, done);
  confirm(context, question(node, answer, *demand), "promote",
          "--other-host-is-off --accept-loss-since=" + demand->accept_loss_since);
  answer = send_command(context, relay, "promote",
                        promote_body(true, demand->accept_loss_since, demand->data_may_be_old));
  return report_answer(context, relay, answer, done);
}

}  // namespace pgtandem::tool
