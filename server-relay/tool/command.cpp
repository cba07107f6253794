#include "server-relay/tool/command.h"

#include <ostream>

#include "server-relay/bootstrap/commands.h"

namespace pgtandem::tool {
namespace {

int run_bootstrap(Context& context) {
  return bootstrap_command(context.settings, context.args);
}
int run_load(Context& context) {
  return load_command(context.args);
}

}  // namespace

const std::vector<Command>& commands() {
  static const std::vector<Command> kAll{
      {"status", "how the pair is, on one screen", status_command},
      {"watch", "the same, live", watch_command},
      {"init", "first start: name the master", init_command},
      {"promote", "make a node the master after the other was lost", promote_command},
      {"switchover", "make the joined standby the master, in order", switchover_command},
      {"fence", "make a node refuse its clients", fence_command},
      {"giveup", "after a split: name the copy to give up", giveup_command},
      {"witness", "add or remove the witness of this node, step by step", witness_command},
      {"bootstrap", "rebuild the standby from the master", run_bootstrap},
      {"check", "look at the configuration and its surroundings", check_command},
      {"differences", "show what differed between the servers", differences_command},
      {"load", "the receiving side of bootstrap (started by it over ssh)", run_load},
  };
  return kAll;
}

cxxopts::Options make_options(const char* name, const char* description) {
  cxxopts::Options options(std::string("pgtandem ") + name, description);
  options.set_width(100);
  options.custom_help("[OPTION...]");
  options.add_options()("h,help", "Print this and exit.");
  return options;
}

std::optional<cxxopts::ParseResult> parse(Context& context, cxxopts::Options& options) {
  std::vector<const char*> argv{options.program().c_str()};
  for (const std::string& arg : context.args) argv.push_back(arg.c_str());
  cxxopts::ParseResult parsed = options.parse(int(argv.size()), argv.data());
  if (parsed.count("help") > 0) {
    context.out << options.help()
                << "\nSettings (--config, --relay, --token-file and the like) may stand before or after: see "
                   "pgtandem --help\n";
    return std::nullopt;
  }
  if (!parsed.unmatched().empty()) {
    throw Failure{kUsage, "'" + printable(parsed.unmatched().front()) + "' means nothing here; see " +
                              options.program() + " --help"};
  }
  return parsed;
}

Node node_option(const cxxopts::ParseResult& parsed, const char* name) {
  if (parsed.count(name) == 0) return Node::none;
  const auto node = parse_node(parsed[name].as<std::string>());
  if (!node || *node == Node::none) throw Failure{kUsage, std::string("--") + name + " is a or b"};
  return *node;
}

}  // namespace pgtandem::tool
