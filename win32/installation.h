/// Installing and removing a service: which calls, in which order, and what happens when one fails. Pure.
#pragma once
#include <string>
#include <vector>

#include "win32/service-host.h"

namespace pgtandem::win32 {

struct Installed {
  bool fresh = true;  ///< false: the service was there before
  /// What this Windows does not have; the service works without it.
  std::vector<std::string> warnings;
};

/// `settings`: the content of the settings file; nullptr keeps the one that is there. After an error a
/// service that was not there before is gone again.
Result<Installed> install(ServiceHost& host, const ServicePlan& plan, const std::string* settings);

/// Stops the service and removes all of it. Goes on after an error; the first one is given back.
Result<void> uninstall(ServiceHost& host, const ServicePlan& plan, bool keep_settings);

}  // namespace pgtandem::win32
