/// What every subcommand of `pgtandem` gets, and the table of them.
#pragma once
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include <cxxopts.hpp>

#include "common/config/settings.h"
#include "server-relay/tool/exit-status.h"
#include "server-relay/tool/text.h"

namespace pgtandem::tool {

struct Context {
  ToolSettings settings;
  std::string config_file;        ///< as given by --config or PGTANDEM_CONFIG; empty: none
  std::vector<std::string> args;  ///< the words after the subcommand
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool in_terminal = false;
  bool out_terminal = false;
  Style style;
};

/// Thrown by what a subcommand is made of where it cannot go on: the text for people and the exit status.
struct Failure {
  int status;
  std::string text;
};

/// One subcommand. `run` gives the exit status; may throw Failure or an exception of cxxopts (a usage error).
struct Command {
  const char* name;
  const char* summary;
  int (*run)(Context& context);
};

/// In the order of --help.
const std::vector<Command>& commands();

/// Options of a subcommand with the same --help everywhere.
cxxopts::Options make_options(const char* name, const char* description);
/// Parses; prints the help and returns nothing where --help was given. Words that no option takes are an
/// error.
std::optional<cxxopts::ParseResult> parse(Context& context, cxxopts::Options& options);
/// --node a|b, or none where it was not given; another value is a usage error.
Node node_option(const cxxopts::ParseResult& parsed, const char* name);

int status_command(Context& context);
int watch_command(Context& context);
int init_command(Context& context);
int promote_command(Context& context);
int switchover_command(Context& context);
int fence_command(Context& context);
int giveup_command(Context& context);
int check_command(Context& context);
int differences_command(Context& context);
int witness_command(Context& context);

}  // namespace pgtandem::tool
