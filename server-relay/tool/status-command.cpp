#include <ostream>

#include "server-relay/tool/command.h"
#include "server-relay/tool/pair-client.h"
#include "server-relay/tool/status-screen.h"

namespace pgtandem::tool {

int status_command(Context& context) {
  cxxopts::Options options = make_options(
      "status",
      "Shows how the pair is. Exit status: 0 the pair is joined, 1 it serves but is not joined,\n"
      "2 no node serves or none answers.");
  options.add_options()("json", "For programs.");
  const auto parsed = parse(context, options);
  if (!parsed) return kOk;
  const PairStatus pair = ask_pair(context.settings);
  context.out << (parsed->count("json") > 0 ? status_json(pair) : status_screen(pair, context.style));
  return exit_status(judge(pair).health);
}

}  // namespace pgtandem::tool
