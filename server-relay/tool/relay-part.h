/// The relay's part of the settings file that the tool was given.
#pragma once
#include <string>

#include "common/config/load.h"
#include "server-relay/tool/command.h"

namespace pgtandem::tool {

/// As the relay would read it. A file for both hosts may leave the node out: then any stands for it.
Result<Loaded<RelaySettings>> load_relay_part(const std::string& file, Node node);

/// This host's node: `said` by an option, else the file's (or PGTANDEM_NODE), else the one whose host is this
/// one. A Failure where that is not clear.
Node own_node(const Context& context, Node said);

}  // namespace pgtandem::tool
