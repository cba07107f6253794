/// The background, step by step:
///   started process   fork()                       waits for a byte in the pipe: its exit status
///   child             setsid(), fork(), _exit(0)   no terminal, and not the leader of its session: none
///   comes back grandchild        goes on as the program
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include "common/process/launch.h"

namespace pgtandem {
namespace {

// sysexits.h
constexpr int kExitSoftware = 70;

/// The streams to /dev/null: of the terminal nothing is kept.
void let_go(std::initializer_list<int> streams) {
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return;
  for (const int stream : streams) ::dup2(null, stream);
  if (null > STDERR_FILENO) ::close(null);
}

/// The exit status that the program told, or that of one that died without a word.
[[noreturn]] void wait_and_exit(int pipe, pid_t child) {
  unsigned char status = kExitSoftware;
  ssize_t n;
  do {
    n = ::read(pipe, &status, 1);
  } while (n < 0 && errno == EINTR);
  if (n != 1) {
    constexpr char kText[] = "the program ended before it was ready\n";
    (void)!::write(STDERR_FILENO, kText, sizeof kText - 1);
  }
  ::waitpid(child, nullptr, 0);
  ::_exit(status);
}

}  // namespace

Result<Launch> Launch::begin(bool daemon) {
  Launch launch;
  if (!daemon) return Result<Launch>(std::move(launch));
  const auto failure = [](const char* what) {
    return Error{std::string("cannot go to the background: ") + what + ": " + std::strerror(errno)};
  };
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return failure("pipe2");
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) return failure("fork");
  if (child > 0) {
    ::close(ends[1]);
    wait_and_exit(ends[0], child);
  }
  ::close(ends[0]);
  launch.waiting_ = ends[1];
  if (::setsid() < 0) return failure("setsid");
  const pid_t grandchild = ::fork();
  if (grandchild < 0) return failure("fork");
  if (grandchild > 0) ::_exit(0);
  let_go({STDIN_FILENO});
  return Result<Launch>(std::move(launch));
}

Result<void> Launch::take_pid_file(const std::string& path) {
  Result<PidFile> file = PidFile::take(path);
  if (!file) return Error{file.error()};
  pid_file_ = std::move(*file);
  return {};
}

Launch::Launch(Launch&& other) noexcept {
  *this = std::move(other);
}

Launch& Launch::operator=(Launch&& other) noexcept {
  std::swap(waiting_, other.waiting_);
  std::swap(pid_file_, other.pid_file_);
  return *this;
}

Launch::~Launch() {
  if (waiting_ >= 0) ::close(waiting_);
}

void Launch::tell(int status) {
  if (waiting_ < 0) return;
  const auto byte = static_cast<unsigned char>(status);
  while (::write(waiting_, &byte, 1) < 0 && errno == EINTR) {
  }
  ::close(std::exchange(waiting_, -1));
}

void Launch::ended(int) {
  pid_file_.remove();
}

void Launch::ready() {
  if (waiting_ < 0) return;
  std::fflush(nullptr);
  let_go({STDOUT_FILENO, STDERR_FILENO});
  tell(0);
}

int Launch::failed(int status) {
  tell(status);
  return status;
}

}  // namespace pgtandem
