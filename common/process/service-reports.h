/// Windows only: how this process tells the service manager that started it how it is. Set by win32/ before
/// the program runs; a program in a console has none.
#pragma once
#include <functional>

namespace pgtandem {

struct ServiceReports {
  std::function<void()> ready = [] {};
  /// The process ends now, without destructors.
  std::function<void(int status)> ended = [](int) {};
};

/// Call before there are threads.
void set_service_reports(ServiceReports reports);
const ServiceReports& service_reports();

}  // namespace pgtandem
