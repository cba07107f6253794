#include "common/config/reader.h"

namespace pgtandem::config {

NodeSettings read_node(const Reader& reader, const std::string& section) {
  NodeSettings node;
  node.host = reader.text(section + ".host");
  node.relay_port = reader.port(section + ".relay_port");
  node.leg_port = reader.port(section + ".leg_port");
  node.control_port = reader.port(section + ".control_port");
  node.postmaster = reader.endpoint(section + ".postmaster");
  return node;
}

ServiceSettings read_service(const Reader& reader) {
  return {reader.text("service.user"), reader.text("service.passfile"), reader.text("service.database")};
}

log::Options read_log(const Reader& reader) {
  log::Options options;
  options.level = *log::parse_level(reader.text("log.level"));
  options.json = reader.text("log.format") == "json";
  options.file = reader.text("log.file");
  options.rotate_bytes = reader.size("log.rotate_size");
  return options;
}

std::vector<RelayAddress> read_relays(const Reader& reader, Findings& findings) {
  std::vector<RelayAddress> relays;
  if (reader.given("forwarder.relays")) {
    for (const std::string& item : reader.list("forwarder.relays"))
      relays.push_back(*parse_relay_address(item));
    if (relays.empty() || relays.size() > 2) {
      findings.error(reader.origin("forwarder.relays"),
                     "one or two relays are needed, these are " + std::to_string(relays.size()));
    }
  } else {
    for (const std::string section : {"nodes.a", "nodes.b"}) {
      const std::string host = reader.text(section + ".host");
      if (host.empty()) continue;
      relays.push_back({host, reader.port(section + ".relay_port"), reader.port(section + ".control_port")});
    }
    if (relays.size() == 1)
      findings.errors.push_back("[nodes]: a pair has both nodes, a and b; one has no host");
  }
  if (relays.size() == 2 && relays[0].host == relays[1].host &&
      (relays[0].relay_port == relays[1].relay_port || relays[0].control_port == relays[1].control_port)) {
    findings.errors.push_back("the two relays share an address: " + to_string(relays[0]) + " and " +
                              to_string(relays[1]));
  }
  return relays;
}

Gathered gather(const ProgramText& program, int argc, const char* const* argv, const Environment& environment,
                Findings& findings) {
  Gathered gathered;
  CommandLine line = read_flags(program, argc, argv, findings);
  gathered.rest = std::move(line.rest);
  gathered.launch = {line.daemon, std::move(line.pid_file)};
  if (line.help) gathered.answer = help_text(program);
  if (line.version) gathered.answer = program.name + " " PGTANDEM_VERSION "\n";
  if (gathered.answer) {
    // --help helps with a wrong command line too.
    findings.errors.clear();
    return gathered;
  }
  const auto variable = environment.find("PGTANDEM_CONFIG");
  if (line.config_file) {
    read_file(*line.config_file, gathered.values, findings);
  } else if (variable != environment.end() && !variable->second.empty()) {
    read_file(variable->second, gathered.values, findings);
  }
  read_environment(environment, program.program, gathered.values, findings);
  for (auto& [name, value] : line.values) gathered.values[name] = std::move(value);
  if (line.print_config) gathered.answer = print_values(gathered.values, program.program);
  return gathered;
}

void check_launch(const Gathered& gathered, Findings& findings) {
  if (!gathered.launch.daemon || gathered.answer || !Reader(gathered.values).text("log.file").empty()) return;
  findings.error("--daemon", "in the background nobody reads standard error: give --log-file too");
}

std::string all_errors(const Findings& findings) {
  std::string text;
  for (const std::string& error : findings.errors) text += (text.empty() ? "" : "\n") + error;
  return text;
}

}  // namespace pgtandem::config
