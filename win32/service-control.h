/// Starting, stopping and asking a service, as `start`, `stop` and `status` do.
#pragma once
#include <string>

#include "common/base/result.h"
#include "win32/service-plan.h"

namespace pgtandem::win32 {

enum class ServiceState { not_installed, stopped, starting, running, stopping };

struct ServiceCondition {
  ServiceState state = ServiceState::not_installed;
  unsigned long process = 0;      ///< while it is not stopped
  unsigned long system_exit = 0;  ///< of the last run, as service-exit.h describes it
  unsigned long own_exit = 0;
};

Result<ServiceCondition> ask_service(const std::string& name);
/// Returns when it runs, or with the reason why it does not.
Result<void> start_service(const std::string& name);
/// Returns when its process has ended. No error where there is no such service or it does not run.
Result<void> stop_service(const std::string& name);
/// Its log says what it took over.
Result<void> reload_service(const std::string& name);

}  // namespace pgtandem::win32
