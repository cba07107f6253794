#include "win32/installation.h"

namespace pgtandem::win32 {
namespace {

using Step = Result<void> (ServiceHost::*)(const ServicePlan&);

/// Without these the service would not do what is promised: the installation fails.
constexpr Step kNeeded[] = {&ServiceHost::set_recovery, &ServiceHost::register_event_source};
/// Comfort and hardening that not every Windows has.
constexpr Step kWelcome[] = {&ServiceHost::set_description, &ServiceHost::set_delayed_start,
                             &ServiceHost::set_recovery_without_crash, &ServiceHost::set_preshutdown,
                             &ServiceHost::set_privileges};

Result<void> configure(ServiceHost& host, const ServicePlan& plan, std::vector<std::string>& warnings) {
  for (const Step step : kNeeded) {
    if (const Result<void> done = (host.*step)(plan); !done) return done;
  }
  for (const Step step : kWelcome) {
    if (const Result<void> done = (host.*step)(plan); !done) warnings.push_back(done.error());
  }
  return {};
}

}  // namespace

Result<Installed> install(ServiceHost& host, const ServicePlan& plan, const std::string* settings) {
  // The service first: its account exists with it, and the access lists name that account.
  const Result<bool> fresh = host.register_service(plan);
  if (!fresh) return Error{fresh.error()};
  Installed installed{.fresh = *fresh, .warnings = {}};
  const auto all = [&]() -> Result<void> {
    for (const ProtectedFolder& folder : plan.folders) {
      if (const Result<void> made = host.protect_folder(folder); !made) return made;
    }
    if (settings != nullptr) {
      if (const Result<void> written = host.write_file(plan.settings_file, *settings); !written)
        return written;
    }
    return configure(host, plan, installed.warnings);
  };
  if (const Result<void> done = all(); !done) {
    std::string what = done.error();
    if (installed.fresh) {
      if (const Result<void> undone = uninstall(host, plan, true); !undone)
        what += "; and undoing it failed: " + undone.error();
    }
    return Error{what};
  }
  return installed;
}

Result<void> uninstall(ServiceHost& host, const ServicePlan& plan, bool keep_settings) {
  Result<void> first;
  const auto note = [&first](const Result<void>& done) {
    if (!done && first) first = done;
  };
  note(host.stop_service(plan));
  note(host.remove_service(plan));
  note(host.remove_event_source(plan));
  note(host.remove_folder(plan.data_folder));
  if (!keep_settings) note(host.remove_file(plan.settings_file));
  note(host.remove_empty_folder(plan.folders.front().path));
  return first;
}

}  // namespace pgtandem::win32
