#include "win32/recording-host.h"

namespace pgtandem::win32 {
namespace {

std::string seconds(std::chrono::seconds time) {
  return std::to_string(time.count()) + " s";
}

}  // namespace

Result<void> RecordingHost::note(std::string line) {
  lines_.push_back(std::move(line));
  for (const std::string& beginning : refused_) {
    if (lines_.back().starts_with(beginning)) return Error{"refused: " + lines_.back()};
  }
  return {};
}

Result<void> RecordingHost::protect_folder(const ProtectedFolder& folder) {
  return note("folder " + folder.path + " with access " + folder.access);
}
Result<void> RecordingHost::write_file(const std::string& path, const std::string& content) {
  return note("file " + path + " of " + std::to_string(content.size()) + " bytes");
}
Result<bool> RecordingHost::register_service(const ServicePlan& plan) {
  const Result<void> noted = note("service " + plan.name + " as " + plan.account +
                                  ", automatic start, command line " + plan.command_line);
  if (!noted) return Error{noted.error()};
  return !present_;
}
Result<void> RecordingHost::set_description(const ServicePlan& plan) {
  return note("description: " + plan.description);
}
Result<void> RecordingHost::set_delayed_start(const ServicePlan&) {
  return note("delayed start");
}
Result<void> RecordingHost::set_recovery(const ServicePlan& plan) {
  std::string line = "recovery: restart after";
  for (const std::chrono::seconds time : plan.restart_after) line += " " + seconds(time) + ",";
  return note(line + " counted anew after " + seconds(plan.failures_forgotten_after));
}
Result<void> RecordingHost::set_recovery_without_crash(const ServicePlan&) {
  return note("recovery also without a crash");
}
Result<void> RecordingHost::set_preshutdown(const ServicePlan& plan) {
  return note("preshutdown: " + seconds(plan.stop_limit));
}
Result<void> RecordingHost::set_privileges(const ServicePlan& plan) {
  std::string line = "privileges:";
  for (const std::string& privilege : plan.privileges) line += " " + privilege;
  return note(line);
}
Result<void> RecordingHost::register_event_source(const ServicePlan& plan) {
  return note("event source " + plan.event_source + " with the messages of " + plan.message_file);
}
Result<void> RecordingHost::stop_service(const ServicePlan& plan) {
  return note("stop " + plan.name);
}
Result<void> RecordingHost::remove_service(const ServicePlan& plan) {
  return note("remove service " + plan.name);
}
Result<void> RecordingHost::remove_event_source(const ServicePlan& plan) {
  return note("remove event source " + plan.event_source);
}
Result<void> RecordingHost::remove_file(const std::string& path) {
  return note("remove file " + path);
}
Result<void> RecordingHost::remove_folder(const std::string& path) {
  return note("remove folder " + path + " with everything in it");
}
Result<void> RecordingHost::remove_empty_folder(const std::string& path) {
  return note("remove folder " + path + " if it is empty");
}

}  // namespace pgtandem::win32
