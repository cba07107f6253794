/// Windows has no such socket: its service manager is told by what win32/ has set.
#include "common/process/service-notifier.h"
#include "common/process/service-reports.h"

namespace pgtandem {
namespace {

ServiceReports& reports() {
  static ServiceReports instance;
  return instance;
}

}  // namespace

void set_service_reports(ServiceReports fresh) {
  reports() = std::move(fresh);
}
const ServiceReports& service_reports() {
  return reports();
}

ServiceNotifier ServiceNotifier::from_environment() {
  return {};
}
ServiceNotifier::ServiceNotifier(ServiceNotifier&&) noexcept {}
ServiceNotifier& ServiceNotifier::operator=(ServiceNotifier&&) noexcept {
  return *this;
}
ServiceNotifier::~ServiceNotifier() = default;
void ServiceNotifier::ready(std::string_view) {
  reports().ready();
}
void ServiceNotifier::reloading() {}
void ServiceNotifier::stopping(std::chrono::milliseconds) {}
void ServiceNotifier::watchdog() {}
void ServiceNotifier::status(std::string_view) {}
void ServiceNotifier::send(std::string_view) {}

}  // namespace pgtandem
