/// What `pgtandem check` finds out on this host and over the network.
#pragma once
#include <optional>
#include <string>

#include "server-relay/tool/check-rules.h"
#include "server-relay/tool/command.h"

namespace pgtandem::tool {

/// Files named by the settings: there, readable, of a mode that keeps secrets. `relay` where the relay's part
/// of the file could be read too.
Findings check_files(const ToolSettings& settings, const std::optional<RelaySettings>& relay);
/// The token at every relay that answered.
Findings check_tokens(const Context& context, const PairStatus& pair);
/// The relays' ports for frontends, by connecting.
Findings check_relay_ports(const ToolSettings& settings);
/// What bootstrap needs, as far as it shows without ssh.
Findings check_bootstrap(const ToolSettings& settings);
/// Does this name or address lead to this host?
bool is_this_host(const std::string& host);
/// The postmasters of the nodes that are this host: reachable, and through the service connection what they
/// say.
Findings check_postmasters(const ToolSettings& settings, const std::optional<RelaySettings>& relay);
/// Every member of the witness, asked by itself, and the fencing hook.
Findings check_arbiters(const std::optional<RelaySettings>& relay);

}  // namespace pgtandem::tool
