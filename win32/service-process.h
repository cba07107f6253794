/// The process that the service manager has started: tells it how things are, and passes its orders on as the
/// signals that the program knows already.
#pragma once
#include <functional>
#include <string>

namespace pgtandem::win32 {

/// Runs `body` as the service `name`; it gives back an exit status, or ends the process (service-reports.h).
/// Fails with an exit status of its own, and a word on standard error, if no service manager has started this
/// process.
int run_service(const std::string& name, std::function<int()> body);

}  // namespace pgtandem::win32
