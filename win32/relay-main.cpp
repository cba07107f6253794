/// pgtandem-relay.exe: the program of main.cpp with what makes it a Windows service.
#include <algorithm>
#include <array>
#include <iostream>
#include <sstream>

#include "common/base/log.h"
#include "common/config/load.h"
#include "server-relay/relay/program.h"
#include "win32/service-program.h"
#include "win32/windows-text.h"

namespace pgtandem::win32 {
namespace {

/// The fallback of state_dir, which is a folder of other systems.
constexpr const char* kElsewhere = "/var/lib/pgtandem";

Result<Loaded<RelaySettings>> load(const Words& words) {
  const Arguments arguments(kRelayService, words);
  return load_relay_settings(arguments.count(), arguments.values());
}

/// With a state folder where the words and their settings file name none.
Result<Words> with_state_folder(Words words, const std::string& data_folder) {
  const auto as_given = load(words);
  if (as_given && as_given->settings.state_dir != kElsewhere) return words;
  words.push_back("--state-dir=" + data_folder);
  if (const auto loaded = load(words); !loaded) return Error{loaded.error()};
  return words;
}

Result<std::string> settings_text(const Words& words, const std::string& data_folder) {
  Result<Words> complete = with_state_folder(words, data_folder);
  if (!complete) return Error{complete.error()};
  complete->emplace_back("--print-config");
  const auto loaded = load(*complete);
  if (!loaded) return Error{loaded.error()};
  return *loaded->answer;
}

Result<Words> for_service(const Words& words, const std::string& data_folder) {
  Result<Words> complete = with_state_folder(words, data_folder);
  if (!complete) return Error{complete.error()};
  const auto loaded = load(*complete);
  if (loaded && loaded->settings.log.file.empty())
    complete->push_back("--log-file=" + default_log_file(data_folder, "relay"));
  return complete;
}

/// Warnings are many here, and every session has its own.
bool for_event_log(log::Level level, std::string_view event) {
  constexpr std::array<std::string_view, 4> kNamed{"relay-started", "relay-stopped", "reloaded",
                                                   "needs-a-restart"};
  return level == log::Level::error || std::ranges::find(kNamed, event) != kNamed.end();
}

int run(const Words& words) {
  const Arguments arguments(kRelayService, words);
  return run_relay_program(arguments.count(), arguments.values());
}

/// In a service nobody reads standard error: what a start that fails says there goes to log and event log.
int serve(const Words& words) {
  std::ostringstream said;
  std::streambuf* const console = std::cerr.rdbuf(said.rdbuf());
  const int status = run(words);
  std::cerr.rdbuf(console);
  std::string why = said.str();
  why.resize(why.find_last_not_of('\n') + 1);
  if (status != 0) log::error("start-failed", {{"error", why}});
  return status;
}

ServiceProgram relay() {
  ServiceProgram program;
  program.plan = relay_plan({.program = program_path(), .program_data = program_data_path()});
  program.no_settings =
      "there are no settings yet: give --listen, --master, --standby and --service-user, or --config FILE "
      "and --node";
  program.settings_text = settings_text;
  program.for_service = for_service;
  program.run = run;
  program.serve = serve;
  program.for_event_log = for_event_log;
  return program;
}

}  // namespace
}  // namespace pgtandem::win32

int main(int argc, char** argv) {
  return pgtandem::win32::run_service_program(pgtandem::win32::relay(), {argv + 1, argv + argc});
}
