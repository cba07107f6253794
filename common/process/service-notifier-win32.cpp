/// Windows has no such socket: its service manager is told by other means.
#include "common/process/service-notifier.h"

namespace pgtandem {

ServiceNotifier ServiceNotifier::from_environment() {
  return {};
}
ServiceNotifier::ServiceNotifier(ServiceNotifier&&) noexcept {}
ServiceNotifier& ServiceNotifier::operator=(ServiceNotifier&&) noexcept {
  return *this;
}
ServiceNotifier::~ServiceNotifier() = default;
void ServiceNotifier::ready(std::string_view) {}
void ServiceNotifier::reloading() {}
void ServiceNotifier::stopping(std::chrono::milliseconds) {}
void ServiceNotifier::watchdog() {}
void ServiceNotifier::status(std::string_view) {}
void ServiceNotifier::send(std::string_view) {}

}  // namespace pgtandem
