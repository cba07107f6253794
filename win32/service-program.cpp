#include "win32/service-program.h"

#include <fstream>
#include <iostream>

#include "client-forwarder/exit-status.h"
#include "win32/event-log.h"
#include "win32/installation.h"
#include "win32/recording-host.h"
#include "win32/service-command.h"
#include "win32/service-control.h"
#include "win32/service-exit.h"
#include "win32/service-host-win32.h"
#include "win32/service-process.h"

namespace pgtandem::win32 {
namespace {

// Of `status`, as init scripts have them.
constexpr int kStatusStopped = 3;
constexpr int kStatusNotInstalled = 4;

/// What stands behind the program's name, carried out.
class Commands {
 public:
  explicit Commands(const ServiceProgram& program) : program_(program), name_(program.plan.name) {}

  int run(const Words& words) const;

 private:
  int fail(int status, const std::string& what) const;
  int finish(const Result<void>& done, const std::string& words) const;
  Result<void> check_present_settings() const;
  int install_it(const ServiceCommand& command) const;
  int uninstall_it(const ServiceCommand& command) const;
  int show_status() const;
  int serve(const std::string& data_folder, const Words& words) const;
  int show_help() const;

  const ServiceProgram& program_;
  const std::string& name_;
};

int Commands::fail(int status, const std::string& what) const {
  std::cerr << name_ << ": " << what << std::endl;
  return status;
}

int Commands::finish(const Result<void>& done, const std::string& words) const {
  if (!done) return fail(kExitOsError, done.error());
  std::cout << words << std::endl;
  return kExitOk;
}

Result<void> Commands::check_present_settings() const {
  if (!std::ifstream(program_.plan.settings_file)) return Error{program_.no_settings};
  const Words words{"--config", program_.plan.settings_file};
  if (const auto checked = program_.for_service(words, program_.plan.data_folder); !checked)
    return Error{checked.error()};
  return {};
}

int Commands::install_it(const ServiceCommand& command) const {
  std::string settings;
  const std::string* fresh = nullptr;
  if (!command.settings.empty()) {
    const Result<std::string> text = program_.settings_text(command.settings, program_.plan.data_folder);
    if (!text) return fail(kExitConfig, text.error());
    settings = *text;
    fresh = &settings;
  } else if (const Result<void> checked = check_present_settings(); !checked) {
    return fail(kExitConfig, checked.error());
  }
  RecordingHost recorder;
  const auto host = make_service_host();
  const auto installed =
      install(command.dry_run ? static_cast<ServiceHost&>(recorder) : *host, program_.plan, fresh);
  for (const std::string& line : recorder.lines()) std::cout << line << "\n";
  if (!installed) return fail(kExitOsError, installed.error());
  for (const std::string& warning : installed->warnings) std::cerr << "warning: " << warning << "\n";
  if (command.dry_run) return kExitOk;
  return finish({}, "the service " + name_ + (installed->fresh ? " is installed" : " is as it should be") +
                        "; its settings: " + program_.plan.settings_file);
}

int Commands::uninstall_it(const ServiceCommand& command) const {
  if (!command.dry_run)
    return finish(uninstall(*make_service_host(), program_.plan, command.keep_settings),
                  "the service " + name_ + " is removed");
  RecordingHost recorder;
  const Result<void> done = uninstall(recorder, program_.plan, command.keep_settings);
  for (const std::string& line : recorder.lines()) std::cout << line << "\n";
  return done ? kExitOk : kExitOsError;
}

int Commands::show_status() const {
  const auto condition = ask_service(name_);
  if (!condition) return fail(kExitOsError, condition.error());
  const std::string name = "the service " + name_;
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

/// A service has no console: what goes wrong before the log is open is told to the event log.
int Commands::serve(const std::string& data_folder, const Words& words) const {
  static EventLog events(name_);
  static const auto wanted = program_.for_event_log;
  log::set_observer([](log::Level level, std::string_view event, log::Fields fields) {
    if (!wanted || wanted(level, event)) events.report(level, event, fields);
  });
  const Result<Words> complete = program_.for_service(words, data_folder);
  if (!complete) {
    events.report(log::Level::error, "start-failed", {{"error", complete.error()}});
    return kExitConfig;
  }
  return program_.serve(*complete);
}

int Commands::show_help() const {
  std::cout << command_help();
  return program_.run({"--help"});
}

int Commands::run(const Words& words) const {
  const auto command = parse_command(words);
  if (!command) return fail(kExitConfig, command.error());
  switch (command->kind) {
    case CommandKind::run:
      return program_.run(command->settings);
    case CommandKind::install:
      return install_it(*command);
    case CommandKind::uninstall:
      return uninstall_it(*command);
    case CommandKind::start:
      return finish(start_service(name_), "the service runs");
    case CommandKind::stop:
      return finish(stop_service(name_), "the service has stopped");
    case CommandKind::reload:
      return finish(reload_service(name_), "the service was told; its log says what it took over");
    case CommandKind::status:
      return show_status();
    case CommandKind::service:
      return run_service(name_, [this, command] { return serve(command->data_folder, command->settings); });
    case CommandKind::help:
      return show_help();
  }
  return kExitSoftware;
}

}  // namespace

int run_service_program(const ServiceProgram& program, const Words& words) {
  return Commands(program).run(words);
}

}  // namespace pgtandem::win32
