/// A planned change of master.
#include <chrono>
#include <ostream>
#include <thread>

#include <nlohmann/json.hpp>

#include "server-relay/tool/command.h"
#include "server-relay/tool/pair-client.h"
#include "server-relay/tool/witness-rules.h"

namespace pgtandem::tool {
namespace {

/// What the relay calls passing is asked again for so long: the standby's next sign comes within a second, a
/// relay that restarts needs longer.
constexpr std::chrono::milliseconds kPatience{3000};
constexpr std::chrono::milliseconds kAskAgain{250};
constexpr unsigned kMayPass = 503;

std::string name_of(Node node) {
  return "node " + std::string(to_string(node));
}

const RelayStatus& require_active(const PairStatus& pair) {
  if (const RelayStatus* active = find_active(pair)) return *active;
  throw Failure{
      kRefused,
      "no node is master, so there is nothing to switch over\n  do: see pgtandem status; after the loss "
      "of the master: pgtandem promote"};
}

std::string question(const StatusView& master, bool server_only) {
  const std::string self = name_of(master.node);
  const std::string peer = name_of(other(master.node));
  if (server_only) {
    return peer + " becomes master with its server; the " + count_text(master.sessions_open) +
           " sessions of " + self + "'s relay go on with it, and the data of " + self +
           " are stale from then on (pgtandem bootstrap).";
  }
  return peer + " becomes master; the " + count_text(master.sessions_open) + " sessions of " + self +
         " are ended at their next idle moment, and " + self + " stays joined as standby.";
}

CommandAnswer send_patiently(const Context& context, const RelayStatus& master, bool server_only) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (true) {
    CommandAnswer answer = send_command(context, master, "switchover", {{"server_only", server_only}});
    if (answer.status != kMayPass || std::chrono::steady_clock::now() + kAskAgain > until) return answer;
    std::this_thread::sleep_for(kAskAgain);
  }
}

/// Half a pair with a witness is no pair to switch over.
void require_same_witness(const PairStatus& pair, const RelayStatus& master) {
  const RelayStatus* target = find_node(pair, other(master.view->node));
  const std::string why = switchover_obstacle(*master.view, target ? &*target->view : nullptr);
  if (why.empty()) return;
  throw Failure{kRefused, why + "\n  do: finish it first, with pgtandem witness add on " +
                              name_of(other(master.view->node)) + "'s host, or pgtandem witness remove on " +
                              name_of(master.view->node) + "'s"};
}

}  // namespace

int switchover_command(Context& context) {
  cxxopts::Options options = make_options(
      "switchover",
      "Makes the joined standby the master, in order. Sessions end when they are idle and connect again (a\n"
      "forwarder holds new connections meanwhile); the old master stays joined as standby. With "
      "--server-only\n"
      "the sessions stay and go on with the other node's server; the old master's data are stale "
      "afterwards.");
  options.add_options()("server-only", "Only the server changes: no session ends.")(
      "to", "The node that is to be master: nothing is done if it is already.", cxxopts::value<std::string>(),
      "a|b")("yes", "Do not ask (for scripts).");
  const auto parsed = parse(context, options);
  if (!parsed) return kOk;
  const Node to = node_option(*parsed, "to");
  const bool server_only = parsed->count("server-only") > 0;
  const PairStatus pair = ask_pair(context.settings);
  const RelayStatus& master = require_active(pair);
  if (to == master.view->node) {
    context.out << name_of(to) << " is master already\n";
    return kOk;
  }
  require_same_witness(pair, master);
  if (parsed->count("yes") == 0) confirm(context, question(*master.view, server_only), "switchover", "--yes");
  const CommandAnswer answer = send_patiently(context, master, server_only);
  return report_answer(context, master, answer, name_of(other(master.view->node)) + " becomes master");
}

}  // namespace pgtandem::tool
