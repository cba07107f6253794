#include "server-relay/tool/relay-part.h"

#include "server-relay/tool/check-surroundings.h"

namespace pgtandem::tool {
namespace {

Result<Loaded<RelaySettings>> load(const std::string& file, Node node) {
  std::vector<const char*> argv{"pgtandem-relay", "--config", file.c_str()};
  if (node != Node::none) argv.push_back(node == Node::b ? "--node=b" : "--node=a");
  return load_relay_settings(int(argv.size()), argv.data());
}

}  // namespace

Result<Loaded<RelaySettings>> load_relay_part(const std::string& file, Node node) {
  auto loaded = load(file, Node::none);
  if (loaded && node == Node::none) return loaded;
  return load(file, node == Node::b ? Node::b : Node::a);
}

Node own_node(const Context& context, Node said) {
  if (said != Node::none) return said;
  const auto loaded = load(context.config_file, Node::none);
  if (loaded && loaded->settings.node != Node::none) return loaded->settings.node;
  const bool a = is_this_host(context.settings.a.host);
  const bool b = is_this_host(context.settings.b.host);
  if (a == b) throw Failure{kUsage, "which node is this host? add --node a, or --node b"};
  return a ? Node::a : Node::b;
}

}  // namespace pgtandem::tool
