/// The flags of `pgtandem bootstrap` over the settings of the configuration.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "common/config/settings.h"
#include "server-relay/bootstrap/loader-link.h"
#include "server-relay/bootstrap/preflight.h"
#include "server-relay/bootstrap/reporter.h"

namespace pgtandem::bootstrap {

struct BootstrapOptions {
  PreflightOptions preflight;
  bool check_only = false;
  bool local = false;                         ///< the target's host is this one: no ssh
  std::optional<Endpoint> source_postmaster;  ///< else [nodes.x] postmaster
  std::optional<Endpoint> target_postmaster;  ///< as seen from the target's host
  std::string service_user;
  std::string passfile;
  std::string target_passfile;
  std::string pg_bin;
  std::string target_pg_bin;
  SshOptions ssh;        ///< host empty: that of the target's node
  std::string pgtandem;  ///< of the target's host; empty: the ssh user's PATH, or this program
  std::string to_file;
  std::string from_file;
  Reporter::Style style = Reporter::Style::line;
};

struct ParsedOptions {
  BootstrapOptions options;
  std::optional<std::string> answer;  ///< --help: print this and exit with 0
};

/// The error is a sentence about the flag.
Result<ParsedOptions> parse_bootstrap_options(const ToolSettings& settings,
                                              const std::vector<std::string>& args);

}  // namespace pgtandem::bootstrap
