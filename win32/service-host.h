/// What an installation asks of Windows, one function a call that can fail. Errors say what was refused and
/// why.
#pragma once
#include <string>

#include "common/base/result.h"
#include "win32/service-plan.h"

namespace pgtandem::win32 {

class ServiceHost {
 public:
  virtual ~ServiceHost() = default;

  /// Makes the folder, or gives one that exists the same owner and access list.
  virtual Result<void> protect_folder(const ProtectedFolder& folder) = 0;
  /// Replaces the file at once or not at all.
  virtual Result<void> write_file(const std::string& path, const std::string& content) = 0;
  /// True: the service is new. False: it was there and is now as the plan says. Starts automatically.
  virtual Result<bool> register_service(const ServicePlan& plan) = 0;
  virtual Result<void> set_description(const ServicePlan& plan) = 0;
  /// It starts when the machine has settled, not in the midst of the start.
  virtual Result<void> set_delayed_start(const ServicePlan& plan) = 0;
  virtual Result<void> set_recovery(const ServicePlan& plan) = 0;
  /// Recovery also where the process ended in order with an error.
  virtual Result<void> set_recovery_without_crash(const ServicePlan& plan) = 0;
  virtual Result<void> set_preshutdown(const ServicePlan& plan) = 0;
  virtual Result<void> set_privileges(const ServicePlan& plan) = 0;
  virtual Result<void> register_event_source(const ServicePlan& plan) = 0;

  /// No error where there is none of it.
  virtual Result<void> stop_service(const ServicePlan& plan) = 0;
  virtual Result<void> remove_service(const ServicePlan& plan) = 0;
  virtual Result<void> remove_event_source(const ServicePlan& plan) = 0;
  virtual Result<void> remove_file(const std::string& path) = 0;
  /// With everything in it.
  virtual Result<void> remove_folder(const std::string& path) = 0;
  /// Left alone if anything is in it.
  virtual Result<void> remove_empty_folder(const std::string& path) = 0;
};

}  // namespace pgtandem::win32
