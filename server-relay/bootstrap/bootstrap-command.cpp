#include <iostream>
#include <sysexits.h>

#include "server-relay/bootstrap/bootstrap-options.h"
#include "server-relay/bootstrap/bootstrap-run.h"
#include "server-relay/bootstrap/commands.h"
#include "server-relay/bootstrap/process-limits.h"
#include "server-relay/bootstrap/stop-signal.h"

namespace pgtandem {

int bootstrap_command(const ToolSettings& settings, const std::vector<std::string>& args) {
  const Result<bootstrap::ParsedOptions> parsed = bootstrap::parse_bootstrap_options(settings, args);
  if (!parsed) {
    std::cerr << "pgtandem bootstrap: " << parsed.error() << "\nTry: pgtandem bootstrap --help\n";
    return EX_USAGE;
  }
  if (parsed->answer) {
    std::cout << *parsed->answer << "\n";
    return EX_OK;
  }
  bootstrap::install_stop_signals();
  bootstrap::forbid_core_dumps();
  return bootstrap::BootstrapRun(settings, parsed->options).execute();
}

}  // namespace pgtandem
