/// Asks the relays of the pair and gives them commands. Blocking, for subcommands.
#pragma once
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "common/control/control-client.h"
#include "server-relay/tool/command.h"
#include "server-relay/tool/pair-status.h"

namespace pgtandem::tool {

/// The control ports to ask: those of the settings, or this host's where none is set.
std::vector<Endpoint> control_ports(const ToolSettings& settings);
/// All of them at once, and the other node's where only one is set and its relay names the other.
PairStatus ask_pair(const ToolSettings& settings);

/// The relay of a node among those that answered; a Failure names what did not answer.
const RelayStatus& require_node(const PairStatus& pair, Node node);

/// The token of the settings, for commands; a Failure says how to give one.
Secret read_token(const ToolSettings& settings);

/// Sends the command to that relay. A relay that does not answer, or refuses the token, is a Failure.
CommandAnswer send_command(const Context& context, const RelayStatus& relay, const std::string& name,
                           const nlohmann::json& body);
/// Prints what the relay said (`done` where it said nothing but yes), and gives the exit status that fits.
int report_answer(Context& context, const RelayStatus& relay, const CommandAnswer& answer,
                  const std::string& done);

/// Asks on a terminal to type `word`; a Failure where it was not typed. Without a terminal, one that names
/// `instead`, the option for scripts.
void confirm(Context& context, const std::string& question, const std::string& word,
             const std::string& instead);

}  // namespace pgtandem::tool
