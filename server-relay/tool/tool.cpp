#include "server-relay/tool/tool.h"

#include <algorithm>
#include <ostream>

#include "server-relay/bootstrap/commands.h"
#include "server-relay/tool/command.h"

namespace pgtandem::tool {
namespace {

std::string commands_help() {
  std::string text = "Commands (pgtandem COMMAND --help tells more):\n";
  std::vector<std::vector<std::string>> rows;
  for (const Command& command : commands()) rows.push_back({command.name, command.summary});
  return text + table_text(rows, 2);
}

const Command* find_command(const std::string& name) {
  for (const Command& command : commands()) {
    if (name == command.name) return &command;
  }
  return nullptr;
}

/// NO_COLOR (no-color.org) and dumb terminals get plain text.
bool wants_colours(const Environment& environment, bool terminal) {
  const auto value = [&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
  };
  return terminal && value("NO_COLOR").empty() && value("TERM") != "dumb";
}

/// The settings file, which the loader has read already, for those who read other parts of it.
std::string config_file(int argc, const char* const* argv, const Environment& environment) {
  const auto variable = environment.find("PGTANDEM_CONFIG");
  std::string file = variable == environment.end() ? std::string() : variable->second;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--") break;
    if (word.starts_with("--config=")) file = word.substr(9);
    if ((word == "--config" || word == "-c") && i + 1 < argc) file = argv[++i];
  }
  return file;
}

int run(const Command& command, Context& context) {
  try {
    return command.run(context);
  } catch (const Failure& failure) {
    context.err << "pgtandem: " << failure.text << "\n";
    return failure.status;
  } catch (const cxxopts::exceptions::exception& e) {
    context.err << "pgtandem: " << printable(e.what()) << "; see pgtandem " << command.name << " --help\n";
    return kUsage;
  } catch (const std::exception& e) {
    context.err << "pgtandem: " << command.name << " failed: " << printable(e.what()) << "\n";
    return kSoftware;
  }
}

}  // namespace

int run_tool(int argc, const char* const* argv, const Environment& environment, ToolStreams streams) {
  // The bootstrap starts this on a host whose settings are nobody's business here: all its words are its own.
  if (argc > 1 && std::string_view(argv[1]) == "load") return load_command({argv + 2, argv + argc});
  auto loaded = load_tool_settings(argc, argv, commands_help(), environment);
  if (!loaded) {
    streams.err << loaded.error() << "\n";
    return kConfiguration;
  }
  if (loaded->answer) {
    streams.out << *loaded->answer;
    return streams.out.flush() ? kOk : kInputOutput;
  }
  for (const std::string& warning : loaded->warnings) streams.err << "pgtandem: " << warning << "\n";
  std::vector<std::string> rest = std::move(loaded->rest);
  if (!rest.empty() && rest.front() == "help") {
    rest.erase(rest.begin());
    rest.emplace_back("--help");
  }
  const Command* command = rest.empty() ? nullptr : find_command(rest.front());
  if (!command) {
    const bool asked = !rest.empty() && rest.front() == "--help";
    if (!asked && !rest.empty())
      streams.err << "pgtandem: '" << printable(rest.front()) << "' is no command\n\n";
    (asked ? streams.out : streams.err) << commands_help() << "pgtandem --help lists the settings.\n";
    return asked ? kOk : kUsage;
  }
  Context context{.settings = std::move(loaded->settings),
                  .config_file = config_file(argc, argv, environment),
                  .args = {rest.begin() + 1, rest.end()},
                  .in = streams.in,
                  .out = streams.out,
                  .err = streams.err,
                  .in_terminal = streams.in_terminal,
                  .out_terminal = streams.out_terminal,
                  .style = Style(wants_colours(environment, streams.out_terminal))};
  const int status = run(*command, context);
  return streams.out.flush() ? status : int(kInputOutput);
}

}  // namespace pgtandem::tool
