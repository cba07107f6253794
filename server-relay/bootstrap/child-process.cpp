#include "server-relay/bootstrap/child-process.h"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "server-relay/bootstrap/sql-text.h"

namespace pgtandem::bootstrap {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kPipeSize = 512 << 10;

/// How often a child that is being waited for is looked at.
constexpr auto kWaitStep = std::chrono::milliseconds(10);

void close_fd(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

void set_non_blocking(int fd) {
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

/// The pipes and spawn attributes of one start; closes what it still owns.
struct Spawn {
  std::array<int, 2> in{-1, -1};
  std::array<int, 2> out{-1, -1};
  std::array<int, 2> err{-1, -1};
  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};

  Spawn() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  Spawn(const Spawn&) = delete;
  Spawn& operator=(const Spawn&) = delete;
  ~Spawn() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    for (auto* pipe : {&in, &out, &err}) {
      close_fd((*pipe)[0]);
      close_fd((*pipe)[1]);
    }
  }

  bool prepare(const ChildOptions& options) {
    if (options.pipe_stdin && ::pipe2(in.data(), O_CLOEXEC) != 0) return false;
    if (options.pipe_stdout && ::pipe2(out.data(), O_CLOEXEC) != 0) return false;
    if (::pipe2(err.data(), O_CLOEXEC) != 0) return false;
    connect(in[0], STDIN_FILENO, O_RDONLY);
    connect(out[1], STDOUT_FILENO, O_WRONLY);
    connect(err[1], STDERR_FILENO, O_WRONLY);
    sigset_t defaults;
    sigset_t none;
    sigemptyset(&none);
    sigemptyset(&defaults);
    for (const int signal : {SIGPIPE, SIGINT, SIGTERM, SIGHUP}) sigaddset(&defaults, signal);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    return true;
  }

 private:
  void connect(int fd, int target, int mode) {
    if (fd >= 0) {
      posix_spawn_file_actions_adddup2(&actions, fd, target);
    } else {
      posix_spawn_file_actions_addopen(&actions, target, "/dev/null", mode, 0);
    }
  }
};

}  // namespace

std::string ChildExit::text() const {
  return status > 128 ? "signal " + std::to_string(status - 128) : "exit status " + std::to_string(status);
}

Result<ChildProcess> ChildProcess::start(const ChildOptions& options) {
  Spawn spawn;
  const std::string& program = options.argv.at(0);
  if (!spawn.prepare(options)) return Error{"cannot make pipes for " + program + ": " + std::strerror(errno)};
  ChildProcess child;
  child.name_ = program.substr(program.rfind('/') + 1);
  const int error = ::posix_spawnp(&child.pid_, program.c_str(), &spawn.actions, &spawn.attributes,
                                   pointers(options.argv).data(), pointers(options.environment).data());
  if (error != 0) {
    child.pid_ = -1;
    return Error{"cannot start " + program + ": " + std::strerror(error)};
  }
  child.stdin_ = std::exchange(spawn.in[1], -1);
  child.stdout_ = std::exchange(spawn.out[0], -1);
  child.stderr_ = std::exchange(spawn.err[0], -1);
  for (const int fd : {child.stdin_, child.stdout_, child.stderr_}) {
    if (fd >= 0) set_non_blocking(fd);
  }
  // Fewer, larger turns for a dump; a system that refuses gives the usual 64 KiB.
  for (const int fd : {child.stdin_, child.stdout_}) {
    if (fd >= 0) ::fcntl(fd, F_SETPIPE_SZ, kPipeSize);
  }
  return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : name_(std::move(other.name_)),
      pid_(std::exchange(other.pid_, -1)),
      stdin_(std::exchange(other.stdin_, -1)),
      stdout_(std::exchange(other.stdout_, -1)),
      stderr_(std::exchange(other.stderr_, -1)),
      errors_(std::move(other.errors_)),
      exit_(other.exit_) {}

ChildProcess::~ChildProcess() {
  close_fd(stdin_);
  close_fd(stdout_);
  if (pid_ > 0 && !try_wait()) {
    kill_group(SIGTERM);
    wait(kGrace);
  }
  close_fd(stderr_);
}

Result<std::size_t> ChildProcess::write_stdin(ByteSpan bytes) {
  const ssize_t written = ::write(stdin_, bytes.data(), bytes.size());
  if (written >= 0) return std::size_t(written);
  if (errno == EAGAIN || errno == EINTR) return std::size_t(0);
  return Error{name_ + " stopped reading: " + std::strerror(errno)};
}

void ChildProcess::close_stdin() {
  close_fd(stdin_);
}

bool ChildProcess::read_stdout(std::string& out, std::size_t limit) {
  if (stdout_ < 0) return false;
  const std::size_t start = out.size();
  out.resize(start + limit);
  const ssize_t got = ::read(stdout_, out.data() + start, limit);
  out.resize(start + std::size_t(got > 0 ? got : 0));
  if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR))) return true;
  close_fd(stdout_);
  return false;
}

void ChildProcess::drain_stderr() {
  std::array<char, 4096> buffer{};
  while (stderr_ >= 0) {
    const ssize_t got = ::read(stderr_, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return;
    if (got == 0) close_fd(stderr_);
    errors_.append(buffer.data(), std::size_t(got));
    if (errors_.size() > kErrorsKept) errors_.erase(0, errors_.size() - kErrorsKept);
  }
}

std::string ChildProcess::error_text() {
  drain_stderr();
  return safe_excerpt(errors_);
}

std::optional<ChildExit> ChildProcess::try_wait() {
  if (exit_ || pid_ <= 0) return exit_;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  exit_ = ChildExit{WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status)};
  return exit_;
}

ChildExit ChildProcess::wait(std::chrono::milliseconds limit) {
  const Clock::time_point deadline = Clock::now() + limit;
  while (!try_wait()) {
    drain_stderr();
    if (Clock::now() >= deadline) {
      kill_group(SIGKILL);
      int status = 0;
      while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) continue;
      exit_ = ChildExit{128 + SIGKILL};
      break;
    }
    std::this_thread::sleep_for(kWaitStep);
  }
  drain_stderr();
  return *exit_;
}

void ChildProcess::kill_group(int signal) const {
  if (pid_ > 0 && !exit_) ::kill(-pid_, signal);
}

std::vector<std::string> child_environment(const std::vector<std::string>& extra) {
  std::vector<std::string> environment;
  for (const char* name : {"PATH", "HOME", "TMPDIR", "LANG", "LC_CTYPE"}) {
    if (const char* value = std::getenv(name)) environment.push_back(std::string(name) + "=" + value);
  }
  environment.emplace_back("LC_MESSAGES=C");
  environment.insert(environment.end(), extra.begin(), extra.end());
  return environment;
}

}  // namespace pgtandem::bootstrap
