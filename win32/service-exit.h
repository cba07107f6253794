/// How a service's end is told to the service manager, and what `start` and `status` make of it. Pure.
#pragma once
#include <string>

namespace pgtandem::win32 {

/// The two numbers of SERVICE_STATUS.
struct ServiceExit {
  unsigned long system = 0;  ///< dwWin32ExitCode
  unsigned long own = 0;     ///< dwServiceSpecificExitCode
};

/// 0 is an end in order; anything else counts as a failure and the recovery actions follow.
ServiceExit service_exit(int status);
/// The program's exit status again.
int exit_status(const ServiceExit& exit);
/// In words, with what to do; empty for an end in order.
std::string describe(const ServiceExit& exit);

}  // namespace pgtandem::win32
