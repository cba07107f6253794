#include "common/config/load.h"
#include "common/config/platform.h"
#include "common/config/reader.h"

namespace pgtandem {
namespace {

config::ProgramText program_text(const std::string& commands) {
  return {
      .name = "pgtandem",
      .description = "Shows and changes the state of a pair.\n" + (commands.empty() ? "" : "\n" + commands),
      .usage = "[OPTION...] COMMAND [ARGUMENT...]",
      .program = config::kTool,
      .subcommands = true,
  };
}

ToolSettings complete(const config::Values& values, config::Findings& findings) {
  const config::Reader reader(values);
  ToolSettings settings;
  settings.relays = config::read_relays(reader, findings);
  settings.token_file = reader.text("control.token_file");
  settings.a = config::read_node(reader, "nodes.a");
  settings.b = config::read_node(reader, "nodes.b");
  settings.service = config::read_service(reader);
  settings.ssh_user = reader.text("bootstrap.ssh_user");
  if (settings.ssh_user.empty()) settings.ssh_user = config::current_user();
  settings.ssh_port = reader.port("bootstrap.ssh_port");
  settings.ssh_key = reader.text("bootstrap.ssh_key");
  settings.known_hosts = reader.text("bootstrap.known_hosts");
  if (settings.known_hosts.empty()) settings.known_hosts = config::home_folder() + "/.ssh/known_hosts";
  settings.remote_pgtandem = reader.text("bootstrap.remote_pgtandem");
  settings.pg_bin = reader.text("bootstrap.pg_bin");
  settings.remote_pg_bin = reader.text("bootstrap.remote_pg_bin");
  return settings;
}

}  // namespace

Result<Loaded<ToolSettings>> load_tool_settings(int argc, const char* const* argv,
                                                const std::string& commands, const Environment& environment) {
  config::Findings findings;
  config::Gathered gathered = config::gather(program_text(commands), argc, argv, environment, findings);
  Loaded<ToolSettings> loaded;
  loaded.answer = std::move(gathered.answer);
  loaded.rest = std::move(gathered.rest);
  loaded.settings = complete(gathered.values, findings);
  if (!findings.errors.empty()) return Error{config::all_errors(findings)};
  loaded.warnings = std::move(findings.warnings);
  return loaded;
}

}  // namespace pgtandem
