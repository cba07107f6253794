/// Settings of the programs from, in rising precedence: a TOML file (--config or PGTANDEM_CONFIG),
/// PGTANDEM_... variables and flags. Every error is told at once, a line each, with its place and what is
/// allowed.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/config/reload.h"
#include "common/config/settings.h"

namespace pgtandem {

using Environment = std::map<std::string, std::string>;

/// The variables of this process.
Environment process_environment();

/// What the command line says about the process itself (relay and forwarder).
struct LaunchOptions {
  bool daemon = false;
  std::string pid_file;  ///< empty: none
};

template <typename Settings>
struct Loaded {
  Settings settings;
  LaunchOptions launch;
  /// The same settings in words, for comparing them with those of a later reading.
  config::SettingTexts texts;
  /// --help, --version or --print-config was given: print this and exit with 0; the settings are not complete
  /// then.
  std::optional<std::string> answer;
  /// For the log, once it is open: a misspelt PGTANDEM_... variable and the like.
  std::vector<std::string> warnings;
  /// Of the tool: the subcommand and its arguments, global options taken out wherever they stood.
  std::vector<std::string> rest;
};

/// The error is complete (it may have several lines); the caller prints it and exits with 78 (EX_CONFIG).
Result<Loaded<RelaySettings>> load_relay_settings(int argc, const char* const* argv,
                                                  const Environment& environment = process_environment());
Result<Loaded<ForwarderSettings>> load_forwarder_settings(
    int argc, const char* const* argv, const Environment& environment = process_environment());
/// `commands`: the text about the subcommands in --help. Relays may be missing (--help of a subcommand needs
/// none).
Result<Loaded<ToolSettings>> load_tool_settings(int argc, const char* const* argv,
                                                const std::string& commands,
                                                const Environment& environment = process_environment());

}  // namespace pgtandem
