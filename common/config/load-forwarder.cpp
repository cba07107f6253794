#include "common/config/load.h"
#include "common/config/reader.h"

namespace pgtandem {
namespace {

const config::ProgramText kProgram{
    .name = "pgtandem-forwarder",
    .description =
        "Listens where programs expect their database and forwards every connection to the current master.",
    .usage =
        "--relay HOSTA:PORT --relay HOSTB:PORT [--listen HOST:PORT] [OPTION...]\n  pgtandem-forwarder "
        "--config FILE",
    .program = config::kForwarder,
};

/// A forwarder that follows itself would connect to itself for ever.
void check_no_loop(const ForwarderSettings& settings, config::Findings& findings) {
  for (const Endpoint& listen : settings.listen) {
    for (const RelayAddress& relay : settings.relays) {
      if (relay.host == listen.host && relay.relay_port == listen.port) {
        findings.errors.push_back("the forwarder cannot listen on the relay's own address " +
                                  to_string(listen));
      }
    }
  }
}

ForwarderSettings complete(const config::Values& values, config::Findings& findings) {
  const config::Reader reader(values);
  ForwarderSettings settings;
  settings.listen = reader.endpoints("forwarder.listen");
  settings.connect_wait = reader.duration("forwarder.connect_wait");
  settings.state_file = reader.text("forwarder.state_file");
  settings.log = config::read_log(reader);
  settings.relays = config::read_relays(reader, findings);
  if (settings.relays.empty() && findings.errors.empty()) {
    findings.errors.push_back(
        "no relay is known: give --relay HOST:PORT for each of the two, or --config FILE");
  }
  if (settings.listen.empty()) {
    findings.error(reader.origin("forwarder.listen"), "no address to listen on: give at least one");
  }
  check_no_loop(settings, findings);
  return settings;
}

}  // namespace

Result<Loaded<ForwarderSettings>> load_forwarder_settings(int argc, const char* const* argv,
                                                          const Environment& environment) {
  config::Findings findings;
  config::Gathered gathered = config::gather(kProgram, argc, argv, environment, findings);
  Loaded<ForwarderSettings> loaded;
  loaded.answer = std::move(gathered.answer);
  if (!loaded.answer || !gathered.values.empty()) loaded.settings = complete(gathered.values, findings);
  config::check_launch(gathered, findings);
  if (!findings.errors.empty()) return Error{config::all_errors(findings)};
  loaded.launch = std::move(gathered.launch);
  loaded.texts = config::setting_texts(gathered.values, config::kForwarder);
  loaded.warnings = std::move(findings.warnings);
  return loaded;
}

}  // namespace pgtandem
