#include <chrono>
#include <windows.h>

#include "win32/service-control.h"
#include "win32/service-exit.h"
#include "win32/service-handle-win32.h"
#include "win32/windows-text.h"

namespace pgtandem::win32 {
namespace {

using Clock = std::chrono::steady_clock;

/// Milliseconds between two looks at the state.
constexpr DWORD kLook = 100;

/// Not ok() with ERROR_SERVICE_DOES_NOT_EXIST where there is none.
ServiceHandle open_service(const std::string& name, DWORD rights) {
  const ServiceHandle manager(OpenSCManagerW(nullptr, nullptr, SC_MANAGER_CONNECT));
  if (!manager.ok()) return {};
  return ServiceHandle(OpenServiceW(manager.get(), wide(name).c_str(), rights));
}

ServiceState state_of(DWORD state) {
  switch (state) {
    case SERVICE_STOPPED:
      return ServiceState::stopped;
    case SERVICE_START_PENDING:
      return ServiceState::starting;
    case SERVICE_STOP_PENDING:
      return ServiceState::stopping;
    default:
      return ServiceState::running;
  }
}

Result<ServiceCondition> ask(const ServiceHandle& service, const std::string& name) {
  SERVICE_STATUS_PROCESS status{};
  DWORD size = 0;
  if (!QueryServiceStatusEx(service.get(), SC_STATUS_PROCESS_INFO, reinterpret_cast<BYTE*>(&status),
                            sizeof status, &size))
    return last_error("ask for the state of the service " + name);
  return ServiceCondition{.state = state_of(status.dwCurrentState),
                          .process = status.dwProcessId,
                          .system_exit = status.dwWin32ExitCode,
                          .own_exit = status.dwServiceSpecificExitCode};
}

/// Waits until it is in none of the two states, at most kStopLimit.
Result<ServiceCondition> await(const ServiceHandle& service, const std::string& name, ServiceState passing,
                               ServiceState also_passing) {
  const auto deadline = Clock::now() + kStopLimit;
  for (;;) {
    Result<ServiceCondition> condition = ask(service, name);
    if (!condition || (condition->state != passing && condition->state != also_passing)) return condition;
    if (Clock::now() >= deadline)
      return Error{"the service " + name + " did not get there within " + std::to_string(kStopLimit.count()) +
                   " s; its log file says more"};
    Sleep(kLook);
  }
}

}  // namespace

Result<ServiceCondition> ask_service(const std::string& name) {
  const ServiceHandle service = open_service(name, SERVICE_QUERY_STATUS);
  if (service.ok()) return ask(service, name);
  if (GetLastError() == ERROR_SERVICE_DOES_NOT_EXIST) return ServiceCondition{};
  return last_error("open the service " + name);
}

Result<void> start_service(const std::string& name) {
  const ServiceHandle service = open_service(name, SERVICE_QUERY_STATUS | SERVICE_START);
  if (!service.ok()) return last_error("open the service " + name);
  if (!StartServiceW(service.get(), 0, nullptr) && GetLastError() != ERROR_SERVICE_ALREADY_RUNNING)
    return last_error("start the service " + name);
  const auto condition = await(service, name, ServiceState::starting, ServiceState::stopping);
  if (!condition) return Error{condition.error()};
  if (condition->state == ServiceState::running) return {};
  const std::string why = describe({condition->system_exit, condition->own_exit});
  return Error{"the service " + name + " did not start: " + (why.empty() ? "it ended at once" : why)};
}

Result<void> stop_service(const std::string& name) {
  const ServiceHandle service = open_service(name, SERVICE_QUERY_STATUS | SERVICE_STOP);
  if (!service.ok()) {
    if (GetLastError() == ERROR_SERVICE_DOES_NOT_EXIST) return {};
    return last_error("open the service " + name);
  }
  // One that is starting takes no orders yet.
  const auto before = await(service, name, ServiceState::starting, ServiceState::stopping);
  if (!before) return Error{before.error()};
  if (before->state == ServiceState::stopped) return {};
  const HANDLE process = OpenProcess(SYNCHRONIZE, FALSE, before->process);
  SERVICE_STATUS status{};
  if (!ControlService(service.get(), SERVICE_CONTROL_STOP, &status) &&
      GetLastError() != ERROR_SERVICE_NOT_ACTIVE) {
    const Error failure = last_error("stop the service " + name);
    if (process != nullptr) CloseHandle(process);
    return failure;
  }
  const auto after = await(service, name, ServiceState::stopping, ServiceState::running);
  if (process != nullptr) {
    // Its file and its log can be removed only when the process itself has ended.
    WaitForSingleObject(process, DWORD(std::chrono::milliseconds(kStopLimit).count()));
    CloseHandle(process);
  }
  if (!after) return Error{after.error()};
  return {};
}

Result<void> reload_service(const std::string& name) {
  const ServiceHandle service = open_service(name, SERVICE_PAUSE_CONTINUE);
  if (!service.ok()) return last_error("open the service " + name);
  SERVICE_STATUS status{};
  if (!ControlService(service.get(), SERVICE_CONTROL_PARAMCHANGE, &status))
    return last_error("tell the service " + name + " to read its settings");
  return {};
}

}  // namespace pgtandem::win32
