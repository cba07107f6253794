/// A program run as a child: pipes to it, its own process group, and never left behind.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace pgtandem::bootstrap {

struct ChildOptions {
  std::vector<std::string> argv;         ///< argv[0] is looked up in PATH unless it has a '/'
  std::vector<std::string> environment;  ///< "NAME=value"; the whole of it
  bool pipe_stdin = false;               ///< else /dev/null
  bool pipe_stdout = false;              ///< else /dev/null
};

/// How a child ended.
struct ChildExit {
  int status = 0;  ///< exit status, or 128 + signal
  bool ok() const { return status == 0; }
  /// "exit status 3" or "signal 9"
  std::string text() const;
};

/// Owned and used by one thread. The destructor ends the process group: SIGTERM, then SIGKILL after kGrace.
class ChildProcess {
 public:
  static constexpr std::chrono::milliseconds kGrace{2000};

  static Result<ChildProcess> start(const ChildOptions& options);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  ChildProcess(const ChildProcess&) = delete;
  ~ChildProcess();

  const std::string& name() const { return name_; }
  pid_t pid() const { return pid_; }
  /// Non-blocking ends of the pipes; -1 where closed or not piped. Standard error is always piped.
  int stdin_fd() const { return stdin_; }
  int stdout_fd() const { return stdout_; }
  int stderr_fd() const { return stderr_; }

  /// How many bytes were taken (0: the pipe is full). An error where the child has closed its end.
  Result<std::size_t> write_stdin(ByteSpan bytes);
  void close_stdin();
  /// Appends what is there to `out`, at most `limit` bytes; false at the end of the output (which closes the
  /// pipe).
  bool read_stdout(std::string& out, std::size_t limit);
  /// Reads what is there of standard error and keeps the last kErrorsKept bytes.
  void drain_stderr();
  /// What the child said on standard error, fit for a message (no verifiers, one line).
  std::string error_text();

  /// Has it ended? Does not wait.
  std::optional<ChildExit> try_wait();
  /// Waits at most `limit`; kills the group and gives the signal's status if that is not enough.
  ChildExit wait(std::chrono::milliseconds limit);
  void kill_group(int signal) const;

 private:
  static constexpr std::size_t kErrorsKept = 16U << 10;

  ChildProcess() = default;

  std::string name_;
  pid_t pid_ = -1;
  int stdin_ = -1;
  int stdout_ = -1;
  int stderr_ = -1;
  std::string errors_;
  std::optional<ChildExit> exit_;
};

/// The environment for PostgreSQL's programs: PATH, HOME, the locale's messages in English, and `extra`; no
/// other PG... variable of ours (PGPASSWORD, PGSERVICE, PGDATABASE ...) reaches them.
std::vector<std::string> child_environment(const std::vector<std::string>& extra);

}  // namespace pgtandem::bootstrap
