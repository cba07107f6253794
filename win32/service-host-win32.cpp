#include "win32/service-host-win32.h"

#include <aclapi.h>
#include <filesystem>
#include <sddl.h>
#include <vector>
#include <windows.h>

#include "win32/service-control.h"
#include "win32/service-handle-win32.h"
#include "win32/windows-text.h"

namespace pgtandem::win32 {
namespace {

constexpr wchar_t kEventSources[] = L"SYSTEM\\CurrentControlSet\\Services\\EventLog\\Application\\";

/// Memory that the system has allocated.
class Local {
 public:
  explicit Local(void* memory) : memory_(memory) {}
  ~Local() { LocalFree(memory_); }
  Local(const Local&) = delete;
  Local& operator=(const Local&) = delete;
  void* get() const { return memory_; }

 private:
  void* memory_;
};

bool is_gone(DWORD failure) {
  return failure == ERROR_FILE_NOT_FOUND || failure == ERROR_PATH_NOT_FOUND ||
         failure == ERROR_SERVICE_DOES_NOT_EXIST;
}

/// A service that somebody looks at (the management console is open) goes only when that is closed.
bool is_leaving(DWORD failure) {
  return failure == ERROR_SERVICE_MARKED_FOR_DELETE;
}

class WindowsHost final : public ServiceHost {
 public:
  Result<void> protect_folder(const ProtectedFolder& folder) override {
    PSECURITY_DESCRIPTOR descriptor = nullptr;
    if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(wide(folder.access).c_str(), SDDL_REVISION_1,
                                                              &descriptor, nullptr))
      return last_error("understand the access list of " + folder.path);
    const Local owned(descriptor);
    SECURITY_ATTRIBUTES attributes{sizeof attributes, descriptor, FALSE};
    if (CreateDirectoryW(wide(folder.path).c_str(), &attributes)) return {};
    if (GetLastError() != ERROR_ALREADY_EXISTS) return last_error("make the folder " + folder.path);
    return protect_existing(folder, descriptor);
  }

  Result<void> write_file(const std::string& path, const std::string& content) override {
    const std::wstring fresh = wide(path + ".new");
    const HANDLE file =
        CreateFileW(fresh.c_str(), GENERIC_WRITE, 0, nullptr, CREATE_ALWAYS, FILE_ATTRIBUTE_NORMAL, nullptr);
    if (file == INVALID_HANDLE_VALUE) return last_error("write the file " + path);
    DWORD written = 0;
    const bool whole = WriteFile(file, content.data(), DWORD(content.size()), &written, nullptr) &&
                       written == content.size() && FlushFileBuffers(file);
    const Error failure = last_error("write the file " + path);
    CloseHandle(file);
    if (!whole) return failure;
    if (!MoveFileExW(fresh.c_str(), wide(path).c_str(), MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH))
      return last_error("replace the file " + path);
    return {};
  }

  Result<bool> register_service(const ServicePlan& plan) override {
    const ServiceHandle manager(
        OpenSCManagerW(nullptr, nullptr, SC_MANAGER_CONNECT | SC_MANAGER_CREATE_SERVICE));
    if (!manager.ok()) return last_error("reach the service manager (are you an administrator?)");
    service_ = ServiceHandle(CreateServiceW(
        manager.get(), wide(plan.name).c_str(), wide(plan.display_name).c_str(), SERVICE_ALL_ACCESS,
        SERVICE_WIN32_OWN_PROCESS, SERVICE_AUTO_START, SERVICE_ERROR_NORMAL, wide(plan.command_line).c_str(),
        nullptr, nullptr, nullptr, wide(plan.account).c_str(), nullptr));
    if (service_.ok()) return true;
    if (GetLastError() != ERROR_SERVICE_EXISTS) return last_error("make the service " + plan.name);
    service_ = ServiceHandle(OpenServiceW(manager.get(), wide(plan.name).c_str(), SERVICE_ALL_ACCESS));
    if (!service_.ok()) return last_error("open the service " + plan.name);
    if (!ChangeServiceConfigW(service_.get(), SERVICE_WIN32_OWN_PROCESS, SERVICE_AUTO_START,
                              SERVICE_ERROR_NORMAL, wide(plan.command_line).c_str(), nullptr, nullptr,
                              nullptr, wide(plan.account).c_str(), nullptr, wide(plan.display_name).c_str()))
      return last_error("change the service " + plan.name);
    return false;
  }

  Result<void> set_description(const ServicePlan& plan) override {
    std::wstring text = wide(plan.description);
    SERVICE_DESCRIPTIONW description{text.data()};
    return change(SERVICE_CONFIG_DESCRIPTION, &description, "describe the service");
  }
  Result<void> set_delayed_start(const ServicePlan&) override {
    SERVICE_DELAYED_AUTO_START_INFO info{TRUE};
    return change(SERVICE_CONFIG_DELAYED_AUTO_START_INFO, &info, "delay the automatic start");
  }
  Result<void> set_recovery(const ServicePlan& plan) override {
    std::vector<SC_ACTION> steps;
    for (const std::chrono::milliseconds delay : plan.restart_after)
      steps.push_back({SC_ACTION_RESTART, DWORD(delay.count())});
    SERVICE_FAILURE_ACTIONSW actions{};
    actions.dwResetPeriod = DWORD(plan.failures_forgotten_after.count());
    actions.cActions = DWORD(steps.size());
    actions.lpsaActions = steps.data();
    return change(SERVICE_CONFIG_FAILURE_ACTIONS, &actions, "set the recovery actions");
  }
  Result<void> set_recovery_without_crash(const ServicePlan&) override {
    SERVICE_FAILURE_ACTIONS_FLAG flag{TRUE};
    return change(SERVICE_CONFIG_FAILURE_ACTIONS_FLAG, &flag, "set recovery for an end without a crash");
  }
  Result<void> set_preshutdown(const ServicePlan& plan) override {
    SERVICE_PRESHUTDOWN_INFO info{DWORD(std::chrono::milliseconds(plan.stop_limit).count())};
    return change(SERVICE_CONFIG_PRESHUTDOWN_INFO, &info, "set the limit of a shutdown");
  }
  Result<void> set_privileges(const ServicePlan& plan) override {
    std::wstring names;
    for (const std::string& name : plan.privileges) names += wide(name) + L'\0';
    names += L'\0';
    SERVICE_REQUIRED_PRIVILEGES_INFOW info{names.data()};
    return change(SERVICE_CONFIG_REQUIRED_PRIVILEGES_INFO, &info, "limit the privileges");
  }

  Result<void> register_event_source(const ServicePlan& plan) override {
    HKEY key = nullptr;
    const std::wstring name = kEventSources + wide(plan.event_source);
    LSTATUS failure = RegCreateKeyExW(HKEY_LOCAL_MACHINE, name.c_str(), 0, nullptr, 0, KEY_SET_VALUE, nullptr,
                                      &key, nullptr);
    if (failure != ERROR_SUCCESS) return error_of("register the event source", DWORD(failure));
    const std::wstring file = wide(plan.message_file);
    const DWORD types = EVENTLOG_ERROR_TYPE | EVENTLOG_WARNING_TYPE | EVENTLOG_INFORMATION_TYPE;
    failure = RegSetValueExW(key, L"EventMessageFile", 0, REG_EXPAND_SZ,
                             reinterpret_cast<const BYTE*>(file.c_str()),
                             DWORD((file.size() + 1) * sizeof(wchar_t)));
    if (failure == ERROR_SUCCESS)
      failure = RegSetValueExW(key, L"TypesSupported", 0, REG_DWORD, reinterpret_cast<const BYTE*>(&types),
                               sizeof types);
    RegCloseKey(key);
    if (failure != ERROR_SUCCESS) return error_of("register the event source", DWORD(failure));
    return {};
  }

  Result<void> stop_service(const ServicePlan& plan) override { return win32::stop_service(plan.name); }

  Result<void> remove_service(const ServicePlan& plan) override {
    const ServiceHandle manager(OpenSCManagerW(nullptr, nullptr, SC_MANAGER_CONNECT));
    if (!manager.ok()) return last_error("reach the service manager (are you an administrator?)");
    service_ = ServiceHandle();
    const ServiceHandle service(OpenServiceW(manager.get(), wide(plan.name).c_str(), DELETE));
    if (service.ok() && DeleteService(service.get())) return {};
    const DWORD failure = GetLastError();
    if (is_gone(failure) || is_leaving(failure)) return {};
    return error_of("remove the service " + plan.name, failure);
  }

  Result<void> remove_event_source(const ServicePlan& plan) override {
    const std::wstring name = kEventSources + wide(plan.event_source);
    const LSTATUS failure = RegDeleteTreeW(HKEY_LOCAL_MACHINE, name.c_str());
    if (failure == ERROR_SUCCESS || is_gone(DWORD(failure))) return {};
    return error_of("remove the event source", DWORD(failure));
  }

  Result<void> remove_file(const std::string& path) override {
    if (DeleteFileW(wide(path).c_str()) || is_gone(GetLastError())) return {};
    return last_error("remove the file " + path);
  }
  Result<void> remove_folder(const std::string& path) override {
    std::error_code failure;
    std::filesystem::remove_all(std::filesystem::path(wide(path)), failure);
    if (failure) return Error{"cannot remove the folder " + path + ": " + failure.message()};
    return {};
  }
  Result<void> remove_empty_folder(const std::string& path) override {
    if (RemoveDirectoryW(wide(path).c_str()) || is_gone(GetLastError()) ||
        GetLastError() == ERROR_DIR_NOT_EMPTY)
      return {};
    return last_error("remove the folder " + path);
  }

 private:
  Result<void> change(DWORD level, void* info, const std::string& what) {
    if (ChangeServiceConfig2W(service_.get(), level, info)) return {};
    return last_error(what);
  }

  /// Anybody may make a folder in %ProgramData%: the one that is there gets our owner and access list, and a
  /// link to somewhere else is refused.
  static Result<void> protect_existing(const ProtectedFolder& folder, PSECURITY_DESCRIPTOR descriptor) {
    std::wstring path = wide(folder.path);
    const DWORD kind = GetFileAttributesW(path.c_str());
    if (kind == INVALID_FILE_ATTRIBUTES || (kind & FILE_ATTRIBUTE_DIRECTORY) == 0 ||
        (kind & FILE_ATTRIBUTE_REPARSE_POINT) != 0)
      return Error{"'" + folder.path + "' is no plain folder: remove it first"};
    BOOL present = FALSE;
    BOOL defaulted = FALSE;
    PACL list = nullptr;
    PSID owner = nullptr;
    GetSecurityDescriptorDacl(descriptor, &present, &list, &defaulted);
    GetSecurityDescriptorOwner(descriptor, &owner, &defaulted);
    const DWORD failure = SetNamedSecurityInfoW(
        path.data(), SE_FILE_OBJECT,
        OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION, owner,
        nullptr, list, nullptr);
    if (failure != ERROR_SUCCESS) return error_of("set the access list of " + folder.path, failure);
    return {};
  }

  ServiceHandle service_;  ///< since register_service()
};

}  // namespace

std::unique_ptr<ServiceHost> make_service_host() {
  return std::make_unique<WindowsHost>();
}

}  // namespace pgtandem::win32
