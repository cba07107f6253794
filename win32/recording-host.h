/// Does nothing and writes down what would be done: for `install --dry-run`, and for tests.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "win32/service-host.h"

namespace pgtandem::win32 {

class RecordingHost : public ServiceHost {
 public:
  /// One line a call.
  const std::vector<std::string>& lines() const { return lines_; }
  /// Calls whose line begins so fail from now on.
  void refuse(const std::string& beginning) { refused_.insert(beginning); }
  /// The service exists already.
  void set_present() { present_ = true; }

  Result<void> protect_folder(const ProtectedFolder& folder) override;
  Result<void> write_file(const std::string& path, const std::string& content) override;
  Result<bool> register_service(const ServicePlan& plan) override;
  Result<void> set_description(const ServicePlan& plan) override;
  Result<void> set_delayed_start(const ServicePlan& plan) override;
  Result<void> set_recovery(const ServicePlan& plan) override;
  Result<void> set_recovery_without_crash(const ServicePlan& plan) override;
  Result<void> set_preshutdown(const ServicePlan& plan) override;
  Result<void> set_privileges(const ServicePlan& plan) override;
  Result<void> register_event_source(const ServicePlan& plan) override;
  Result<void> stop_service(const ServicePlan& plan) override;
  Result<void> remove_service(const ServicePlan& plan) override;
  Result<void> remove_event_source(const ServicePlan& plan) override;
  Result<void> remove_file(const std::string& path) override;
  Result<void> remove_folder(const std::string& path) override;
  Result<void> remove_empty_folder(const std::string& path) override;

 private:
  Result<void> note(std::string line);

  std::vector<std::string> lines_;
  std::set<std::string> refused_;
  bool present_ = false;
};

}  // namespace pgtandem::win32
