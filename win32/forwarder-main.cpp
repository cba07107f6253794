/// pgtandem-forwarder.exe: the program of main.cpp with what makes it a Windows service.
#include "client-forwarder/program.h"
#include "common/config/load.h"
#include "win32/service-program.h"
#include "win32/windows-text.h"

namespace pgtandem::win32 {
namespace {

Result<Loaded<ForwarderSettings>> load(const Words& words) {
  const Arguments arguments(kForwarderService, words);
  return load_forwarder_settings(arguments.count(), arguments.values());
}

Result<std::string> settings_text(Words words, const std::string&) {
  words.emplace_back("--print-config");
  const auto loaded = load(words);
  if (!loaded) return Error{loaded.error()};
  return *loaded->answer;
}

Result<Words> for_service(Words words, const std::string& data_folder) {
  const auto loaded = load(words);
  if (!loaded) return Error{loaded.error()};
  if (loaded->settings.state_file.empty()) words.push_back("--state-file=" + default_state_file(data_folder));
  if (loaded->settings.log.file.empty())
    words.push_back("--log-file=" + default_log_file(data_folder, "forwarder"));
  return words;
}

ServiceProgram forwarder() {
  ServiceProgram program;
  program.plan = forwarder_plan({.program = program_path(), .program_data = program_data_path()});
  program.no_settings =
      "there are no settings yet: give --relay HOST:PORT for each of the two, or --config FILE";
  program.settings_text = settings_text;
  program.for_service = for_service;
  program.run = [](const Words& words) {
    const Arguments arguments(kForwarderService, words);
    return run_forwarder_program(arguments.count(), arguments.values());
  };
  program.serve = program.run;
  return program;
}

}  // namespace
}  // namespace pgtandem::win32

int main(int argc, char** argv) {
  return pgtandem::win32::run_service_program(pgtandem::win32::forwarder(), {argv + 1, argv + argc});
}
