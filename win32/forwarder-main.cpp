/// pgtandem-forwarder.exe: the program of main.cpp with what makes it a Windows service.
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "client-forwarder/exit-status.h"
#include "client-forwarder/program.h"
#include "common/base/log.h"
#include "common/config/load.h"
#include "win32/event-log.h"
#include "win32/installation.h"
#include "win32/recording-host.h"
#include "win32/service-command.h"
#include "win32/service-control.h"
#include "win32/service-exit.h"
#include "win32/service-host-win32.h"
#include "win32/service-process.h"
#include "win32/windows-text.h"

namespace pgtandem::win32 {
namespace {

// Of `status`, as init scripts have them.
constexpr int kStatusStopped = 3;
constexpr int kStatusNotInstalled = 4;

using Words = std::vector<std::string>;

/// The words as an argv behind the program's name.
class Arguments {
 public:
  explicit Arguments(const Words& words) : words_(words) {
    pointers_.push_back(kForwarderService);
    for (const std::string& word : words_) pointers_.push_back(word.c_str());
  }
  int count() const { return int(pointers_.size()); }
  const char* const* values() const { return pointers_.data(); }

 private:
  Words words_;
  std::vector<const char*> pointers_;
};

ServicePlan plan() {
  return forwarder_plan({.program = program_path(), .program_data = program_data_path()});
}

int fail(int status, const std::string& what) {
  std::cerr << kForwarderService << ": " << what << std::endl;
  return status;
}

int finish(const Result<void>& done, const std::string& words) {
  if (!done) return fail(kExitOsError, done.error());
  std::cout << words << std::endl;
  return kExitOk;
}

/// The settings file's new content; checked, so that no service is made that cannot start.
Result<std::string> settings_text(Words words) {
  words.emplace_back("--print-config");
  const Arguments arguments(words);
  auto loaded = load_forwarder_settings(arguments.count(), arguments.values());
  if (!loaded) return Error{loaded.error()};
  return *loaded->answer;
}

Result<void> check_present_settings(const ServicePlan& plan) {
  if (!std::ifstream(plan.settings_file))
    return Error{"there are no settings yet: give --relay HOST:PORT for each of the two, or --config FILE"};
  const Arguments arguments({"--config", plan.settings_file});
  const auto loaded = load_forwarder_settings(arguments.count(), arguments.values());
  if (!loaded) return Error{loaded.error()};
  return {};
}

int install_forwarder(const ServiceCommand& command) {
  const ServicePlan plan = win32::plan();
  std::string settings;
  const std::string* fresh = nullptr;
  if (!command.settings.empty()) {
    const Result<std::string> text = settings_text(command.settings);
    if (!text) return fail(kExitConfig, text.error());
    settings = *text;
    fresh = &settings;
  } else if (const Result<void> checked = check_present_settings(plan); !checked) {
    return fail(kExitConfig, checked.error());
  }
  RecordingHost recorder;
  const auto host = make_service_host();
  const auto installed = install(command.dry_run ? static_cast<ServiceHost&>(recorder) : *host, plan, fresh);
  for (const std::string& line : recorder.lines()) std::cout << line << "\n";
  if (!installed) return fail(kExitOsError, installed.error());
  for (const std::string& warning : installed->warnings) std::cerr << "warning: " << warning << "\n";
  if (command.dry_run) return kExitOk;
  return finish({}, "the service " + plan.name +
                        (installed->fresh ? " is installed" : " is as it should be") +
                        "; its settings: " + plan.settings_file);
}

int uninstall_forwarder(const ServiceCommand& command) {
  const ServicePlan plan = win32::plan();
  if (!command.dry_run)
    return finish(uninstall(*make_service_host(), plan, command.keep_settings),
                  "the service " + plan.name + " is removed");
  RecordingHost recorder;
  const Result<void> done = uninstall(recorder, plan, command.keep_settings);
  for (const std::string& line : recorder.lines()) std::cout << line << "\n";
  return done ? kExitOk : kExitOsError;
}

int show_status() {
  const auto condition = ask_service(kForwarderService);
  if (!condition) return fail(kExitOsError, condition.error());
  const std::string name = std::string("the service ") + kForwarderService;
  switch (condition->state) {
    case ServiceState::not_installed:
      std::cout << name << " is not installed" << std::endl;
      return kStatusNotInstalled;
    case ServiceState::running:
      std::cout << name << " runs, process " << condition->process << std::endl;
      return kExitOk;
    case ServiceState::starting:
      std::cout << name << " is starting" << std::endl;
      return kStatusStopped;
    case ServiceState::stopping:
      std::cout << name << " is stopping" << std::endl;
      return kStatusStopped;
    case ServiceState::stopped:
      break;
  }
  const std::string why = describe({condition->system_exit, condition->own_exit});
  std::cout << name << " does not run" << (why.empty() ? "" : ": " + why) << std::endl;
  return kStatusStopped;
}

int run_with(const Words& words) {
  const Arguments arguments(words);
  return run_forwarder_program(arguments.count(), arguments.values());
}

/// A service has no console: what goes wrong before the log is open is told to the event log.
int serve(const std::string& data_folder, Words words) {
  static EventLog events(kForwarderService);
  log::set_observer([](log::Level level, std::string_view event, log::Fields fields) {
    events.report(level, event, fields);
  });
  const Arguments arguments(words);
  const auto loaded = load_forwarder_settings(arguments.count(), arguments.values());
  if (!loaded) {
    events.report(log::Level::error, "start-failed", {{"error", loaded.error()}});
    return kExitConfig;
  }
  if (loaded->settings.state_file.empty()) words.push_back("--state-file=" + default_state_file(data_folder));
  if (loaded->settings.log.file.empty()) words.push_back("--log-file=" + default_log_file(data_folder));
  return run_with(words);
}

int show_help() {
  std::cout << command_help();
  return run_with({"--help"});
}

int main_of(const Words& words) {
  const auto command = parse_command(words);
  if (!command) return fail(kExitConfig, command.error());
  switch (command->kind) {
    case CommandKind::run:
      return run_with(command->settings);
    case CommandKind::install:
      return install_forwarder(*command);
    case CommandKind::uninstall:
      return uninstall_forwarder(*command);
    case CommandKind::start:
      return finish(start_service(kForwarderService), "the service runs");
    case CommandKind::stop:
      return finish(stop_service(kForwarderService), "the service has stopped");
    case CommandKind::reload:
      return finish(reload_service(kForwarderService),
                    "the service was told; its log says what it took over");
    case CommandKind::status:
      return show_status();
    case CommandKind::service:
      return run_service(kForwarderService,
                         [command] { return serve(command->data_folder, command->settings); });
    case CommandKind::help:
      return show_help();
  }
  return kExitSoftware;
}

}  // namespace
}  // namespace pgtandem::win32

int main(int argc, char** argv) {
  return pgtandem::win32::main_of({argv + 1, argv + argc});
}
