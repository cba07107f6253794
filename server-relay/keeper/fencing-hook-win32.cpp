#include <array>
#include <filesystem>
#include <utility>
#include <windows.h>

#include "server-relay/keeper/fencing-hook.h"

namespace pgtandem {
namespace {

using Clock = std::chrono::steady_clock;

/// What a hook says is shown up to this size.
constexpr std::size_t kMaxOutput = 1000;
/// How soon the end of the hook, and the wish to stop, are seen.
constexpr DWORD kLookMs = 20;

/// Closes on every way out.
class Handle {
 public:
  Handle() = default;
  explicit Handle(HANDLE handle) : handle_(handle) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { close(); }
  void close() {
    if (handle_ != nullptr) CloseHandle(std::exchange(handle_, nullptr));
  }
  HANDLE get() const { return handle_; }
  HANDLE* address() { return &handle_; }

 private:
  HANDLE handle_ = nullptr;
};

Error failure(const std::string& doing) {
  const DWORD code = GetLastError();
  return Error{"cannot " + doing + ": " + std::error_code(int(code), std::system_category()).message()};
}

std::wstring quoted(const std::string& word) {
  return L"\"" + std::filesystem::u8path(word).wstring() + L"\"";
}

/// The hook and whatever it starts, in one job: they end together with it.
class HookJob {
 public:
  Result<void> start(const HookOptions& options) {
    job_ = CreateJobObjectW(nullptr, nullptr);
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits{};
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    SetInformationJobObject(job_, JobObjectExtendedLimitInformation, &limits, sizeof limits);
    SECURITY_ATTRIBUTES inherited{sizeof inherited, nullptr, TRUE};
    Handle told;
    if (!CreatePipe(output_.address(), told.address(), &inherited, 0)) return failure("make a pipe");
    SetHandleInformation(output_.get(), HANDLE_FLAG_INHERIT, 0);
    STARTUPINFOW startup{};
    startup.cb = sizeof startup;
    startup.dwFlags = STARTF_USESTDHANDLES;
    startup.hStdOutput = startup.hStdError = told.get();
    std::wstring line = quoted(options.program);
    for (const std::string& argument : options.arguments) line += L" " + quoted(argument);
    PROCESS_INFORMATION process{};
    // Suspended until it is in the job: what it starts must be in there too.
    if (!CreateProcessW(nullptr, line.data(), nullptr, nullptr, TRUE, CREATE_SUSPENDED | CREATE_NO_WINDOW,
                        nullptr, nullptr, &startup, &process))
      return failure("start " + options.program);
    process_ = process.hProcess;
    AssignProcessToJobObject(job_, process_);
    ResumeThread(process.hThread);
    CloseHandle(process.hThread);
    return {};
  }
  ~HookJob() {
    if (process_ != nullptr) CloseHandle(process_);
    if (job_ != nullptr) CloseHandle(job_);
  }

  /// Its exit status, if it ends within kLookMs.
  std::optional<DWORD> ended() const {
    if (WaitForSingleObject(process_, kLookMs) != WAIT_OBJECT_0) return std::nullopt;
    DWORD status = 1;
    GetExitCodeProcess(process_, &status);
    return status;
  }
  void kill() const {
    TerminateJobObject(job_, 1);
    WaitForSingleObject(process_, INFINITE);
  }
  /// Reads on where nothing is kept any more: a full pipe would stop the hook.
  void read_output(std::string& kept) const {
    std::array<char, 4096> bytes;
    DWORD there = 0;
    while (PeekNamedPipe(output_.get(), nullptr, 0, nullptr, &there, nullptr) && there > 0) {
      DWORD got = 0;
      if (!ReadFile(output_.get(), bytes.data(), DWORD(bytes.size()), &got, nullptr)) return;
      kept.append(bytes.data(), std::min<std::size_t>(got, kMaxOutput - std::min(kept.size(), kMaxOutput)));
    }
  }

 private:
  HANDLE job_ = nullptr;
  HANDLE process_ = nullptr;
  Handle output_;
};

HookOutcome run_hook(const HookOptions& options, const std::stop_token& stop) {
  HookOutcome outcome;
  HookJob hook;
  if (const Result<void> started = hook.start(options); !started) {
    outcome.why = started.error();
    return outcome;
  }
  const Clock::time_point deadline = Clock::now() + options.limit;
  std::optional<DWORD> status;
  while (!(status = hook.ended())) {
    hook.read_output(outcome.output);
    if (stop.stop_requested() || Clock::now() >= deadline) {
      hook.kill();
      outcome.why = "it did not end within " + std::to_string(options.limit.count()) + " ms";
      break;
    }
  }
  hook.read_output(outcome.output);
  while (!outcome.output.empty() && (outcome.output.back() == '\n' || outcome.output.back() == '\r'))
    outcome.output.pop_back();
  if (!status) return outcome;
  outcome.confirmed = *status == 0;
  if (!outcome.confirmed) outcome.why = "it ended with exit status " + std::to_string(*status);
  return outcome;
}

}  // namespace

Result<void> can_be_run(const std::string& program) {
  std::error_code failure;
  if (std::filesystem::is_regular_file(std::filesystem::u8path(program), failure)) return {};
  return Error{program + " is no file that could be run" + (failure ? ": " + failure.message() : "")};
}

HookProcess::~HookProcess() {
  thread_.request_stop();
}

void HookProcess::run(std::function<void(HookOutcome)> done) {
  thread_ = std::jthread([options = options_, done = std::move(done)](const std::stop_token& stop) {
    HookOutcome outcome = run_hook(options, stop);
    if (!stop.stop_requested()) done(std::move(outcome));
  });
}

}  // namespace pgtandem
