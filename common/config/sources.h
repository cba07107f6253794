/// The three sources of settings, in rising precedence: file, variables, flags. Each puts what it found,
/// checked value by value against the table, into `Values`; what is wrong goes to the list of errors, so that
/// all are told at once.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/config/setting-table.h"

namespace pgtandem::config {

using Environment = std::map<std::string, std::string>;

struct Value {
  const Setting* setting = nullptr;
  std::vector<std::string> items;  ///< one for plain settings, any number for lists
  std::string origin;              ///< "pgtandem.toml:12", "PGTANDEM_NODE" or "--node"
};

/// What was given, by name.
using Values = std::map<std::string_view, Value>;

struct Findings {
  std::vector<std::string> errors;
  std::vector<std::string> warnings;

  void error(const std::string& origin, const std::string& what) { errors.push_back(origin + ": " + what); }
};

/// Reads and checks a whole TOML file; keys of other programs are checked too, since the file is shared.
void read_file(const std::string& path, Values& values, Findings& findings);
/// The same for a text; `name` stands in the messages.
void read_toml(std::string_view text, const std::string& name, Values& values, Findings& findings);

/// PGTANDEM_... of the settings of `program`. An empty variable counts as absent; an unknown one is a
/// warning.
void read_environment(const Environment& environment, unsigned program, Values& values, Findings& findings);

/// What the command line says besides settings.
struct CommandLine {
  std::optional<std::string> config_file;
  bool help = false;
  bool version = false;
  bool print_config = false;
  bool daemon = false;
  std::string pid_file;
  Values values;
  std::vector<std::string> rest;  ///< with `subcommands`: the subcommand and its arguments
};

struct ProgramText {
  std::string name;         ///< "pgtandem-relay"
  std::string description;  ///< above the options
  std::string usage;        ///< after the name
  unsigned program = 0;     ///< kRelay, kForwarder or kTool
  bool subcommands =
      false;  ///< words without dashes belong to a subcommand; global options may stand after it too
};

CommandLine read_flags(const ProgramText& program, int argc, const char* const* argv, Findings& findings);
std::string help_text(const ProgramText& program);

/// The settings in force as a file: what was given with its origin, the rest as comments with the default.
std::string print_values(const Values& values, unsigned program);

/// ", did you mean 'x'?" for the nearest of the names if it is near, else "".
std::string suggestion(std::string_view wrong, const std::vector<std::string>& names);

}  // namespace pgtandem::config
