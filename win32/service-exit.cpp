#include "win32/service-exit.h"

#include "client-forwarder/exit-status.h"

namespace pgtandem::win32 {
namespace {

/// ERROR_SERVICE_SPECIFIC_ERROR: the service's own number says it.
constexpr unsigned long kServiceSpecific = 1066;
/// ERROR_PROCESS_ABORTED: it ended without a word.
constexpr unsigned long kProcessAborted = 1067;
/// ERROR_SERVICE_NEVER_STARTED.
constexpr unsigned long kNeverStarted = 1077;

std::string own_words(unsigned long status) {
  switch (status) {
    case kExitSoftware:
      return "an error that nobody foresaw";
    case kExitUnavailable:
    case kExitOsError:
      return "an address cannot be listened on";
    case kExitCannotCreate:
      return "the state file or the log file cannot be written";
    case kExitConfig:
      return "the settings are wrong";
    default:
      return "exit status " + std::to_string(status);
  }
}

}  // namespace

ServiceExit service_exit(int status) {
  if (status == kExitOk) return {};
  return {kServiceSpecific, static_cast<unsigned long>(status)};
}

int exit_status(const ServiceExit& exit) {
  if (exit.system == 0 || exit.system == kNeverStarted) return kExitOk;
  return exit.system == kServiceSpecific ? int(exit.own) : kExitSoftware;
}

std::string describe(const ServiceExit& exit) {
  if (exit.system == 0 || exit.system == kNeverStarted) return {};
  if (exit.system == kServiceSpecific)
    return own_words(exit.own) + "; the Application event log and the log file say more";
  if (exit.system == kProcessAborted) return "its process ended unexpectedly; see the Application event log";
  return "the system says error " + std::to_string(exit.system);
}

}  // namespace pgtandem::win32
