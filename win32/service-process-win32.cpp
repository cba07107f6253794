#include <csignal>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <windows.h>

#include "client-forwarder/exit-status.h"
#include "common/base/log.h"
#include "common/process/service-reports.h"
#include "win32/service-exit.h"
#include "win32/service-plan.h"
#include "win32/service-process.h"
#include "win32/windows-text.h"

namespace pgtandem::win32 {
namespace {

/// Milliseconds. The manager may believe in a start or stop for so long.
constexpr DWORD kPendingHint = 30000;
/// A stop that takes longer hangs somewhere in the system: the process is ended, within kStopLimit.
constexpr std::chrono::milliseconds kStopPatience{25000};

/// One for the process: the manager's callbacks have no other way to it.
struct Service {
  std::wstring name;
  std::function<int()> body;
  std::mutex mutex;  ///< guards what follows
  SERVICE_STATUS_HANDLE handle = nullptr;
  SERVICE_STATUS status{};
  bool ended = false;

  void report(DWORD state, const ServiceExit& exit = {}) {
    const std::lock_guard lock(mutex);
    if (ended) return;
    ended = state == SERVICE_STOPPED;
    const bool passing = state == SERVICE_START_PENDING || state == SERVICE_STOP_PENDING;
    status.dwServiceType = SERVICE_WIN32_OWN_PROCESS;
    status.dwCurrentState = state;
    status.dwControlsAccepted = state == SERVICE_RUNNING ? SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_PRESHUTDOWN |
                                                               SERVICE_ACCEPT_PARAMCHANGE
                                                         : 0;
    status.dwWin32ExitCode = exit.system;
    status.dwServiceSpecificExitCode = exit.own;
    status.dwCheckPoint = passing ? status.dwCheckPoint + 1 : 0;
    status.dwWaitHint = passing ? kPendingHint : 0;
    SetServiceStatus(handle, &status);
  }
};

Service& service() {
  static Service instance;
  return instance;
}

void CALLBACK end_overdue(PTP_CALLBACK_INSTANCE, void*, PTP_TIMER) {
  log::error("stop-overdue", {{"after_ms", std::int64_t(kStopPatience.count())}});
  service().report(SERVICE_STOPPED, service_exit(kExitSoftware));
  std::_Exit(kExitSoftware);
}

/// The handler has to answer at once; the stop itself is the program's, on its own thread.
void begin_stop() {
  service().report(SERVICE_STOP_PENDING);
  if (PTP_TIMER timer = CreateThreadpoolTimer(end_overdue, nullptr, nullptr)) {
    LARGE_INTEGER due{};
    due.QuadPart = -std::chrono::duration_cast<std::chrono::nanoseconds>(kStopPatience).count() / 100;
    FILETIME when{DWORD(due.LowPart), DWORD(due.HighPart)};
    SetThreadpoolTimer(timer, &when, 0, 0);
  }
  std::raise(SIGTERM);
}

DWORD WINAPI handle_control(DWORD control, DWORD, void*, void*) {
  switch (control) {
    case SERVICE_CONTROL_STOP:
    case SERVICE_CONTROL_PRESHUTDOWN:
      begin_stop();
      return NO_ERROR;
    case SERVICE_CONTROL_PARAMCHANGE:
      std::raise(SIGBREAK);
      return NO_ERROR;
    case SERVICE_CONTROL_INTERROGATE:
      return NO_ERROR;
    default:
      return ERROR_CALL_NOT_IMPLEMENTED;
  }
}

void WINAPI service_main(DWORD, wchar_t**) {
  Service& self = service();
  self.handle = RegisterServiceCtrlHandlerExW(self.name.c_str(), handle_control, nullptr);
  if (self.handle == nullptr) return;
  self.report(SERVICE_START_PENDING);
  set_service_reports({.ready = [] { service().report(SERVICE_RUNNING); },
                       .ended = [](int status) { service().report(SERVICE_STOPPED, service_exit(status)); }});
  const int status = self.body();
  self.report(SERVICE_STOPPED, service_exit(status));
}

}  // namespace

int run_service(const std::string& name, std::function<int()> body) {
  service().name = wide(name);
  service().body = std::move(body);
  const SERVICE_TABLE_ENTRYW table[] = {{service().name.data(), service_main}, {nullptr, nullptr}};
  if (!StartServiceCtrlDispatcherW(table)) {
    std::cerr << last_error("run as a service").what
              << "\n`service` is for the service manager; to run in this console: run\n";
    return kExitConfig;
  }
  // The program's thread may be on its way out through here too: no destructor may pull the log from under
  // it.
  std::_Exit(exit_status({service().status.dwWin32ExitCode, service().status.dwServiceSpecificExitCode}));
}

}  // namespace pgtandem::win32
