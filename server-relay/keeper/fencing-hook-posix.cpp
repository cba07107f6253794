#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <poll.h>
#include <unistd.h>

#include "server-relay/bootstrap/child-process.h"
#include "server-relay/keeper/fencing-hook.h"

namespace pgtandem {
namespace {

using namespace std::chrono_literals;
using bootstrap::ChildExit;
using bootstrap::ChildOptions;
using bootstrap::ChildProcess;
using Clock = std::chrono::steady_clock;

/// What a hook says is shown up to this size.
constexpr std::size_t kMaxOutput = 1000;
constexpr std::size_t kReadAtOnce = 4096;
/// How soon the end of the hook, and the wish to stop, are seen.
constexpr int kLookMs = 20;

/// Reads on where nothing is kept any more: a full pipe would stop the hook.
void read_output(ChildProcess& child, std::string& output) {
  std::string more;
  child.read_stdout(more, kReadAtOnce);
  output.append(more, 0, kMaxOutput - std::min(output.size(), kMaxOutput));
  child.drain_stderr();
}

/// Sleeps until the hook says something, or for kLookMs.
void wait_for_output(const ChildProcess& child) {
  std::array<pollfd, 2> files{{{child.stdout_fd(), POLLIN, 0}, {child.stderr_fd(), POLLIN, 0}}};
  ::poll(files.data(), files.size(), kLookMs);
  // At the end of the output poll() returns at once.
  const bool ended = child.stdout_fd() < 0 || (files[0].revents & POLLHUP) != 0;
  if (ended) std::this_thread::sleep_for(std::chrono::milliseconds(kLookMs));
}

std::string shown(ChildProcess& child, std::string output) {
  const std::string errors = child.error_text();
  while (!output.empty() && output.back() == '\n') output.pop_back();
  if (!output.empty() && !errors.empty()) output += "\n";
  output += errors;
  while (!output.empty() && output.back() == '\n') output.pop_back();
  return output.substr(0, kMaxOutput);
}

HookOutcome run_hook(const HookOptions& options, const std::stop_token& stop) {
  ChildOptions wanted;
  wanted.argv.push_back(options.program);
  wanted.argv.insert(wanted.argv.end(), options.arguments.begin(), options.arguments.end());
  wanted.environment = bootstrap::child_environment({});
  wanted.pipe_stdout = true;
  Result<ChildProcess> started = ChildProcess::start(wanted);
  HookOutcome outcome;
  if (!started) {
    outcome.why = started.error();
    return outcome;
  }
  ChildProcess& child = *started;
  const Clock::time_point deadline = Clock::now() + options.limit;
  std::string output;
  std::optional<ChildExit> ended;
  while (!(ended = child.try_wait())) {
    if (stop.stop_requested() || Clock::now() >= deadline) {
      child.kill_group(SIGKILL);
      child.wait(0ms);
      outcome.why = "it did not end within " + std::to_string(options.limit.count()) + " ms";
      break;
    }
    wait_for_output(child);
    read_output(child, output);
  }
  read_output(child, output);
  outcome.output = shown(child, std::move(output));
  if (!ended) return outcome;
  outcome.confirmed = ended->ok();
  if (!outcome.confirmed) outcome.why = "it ended with " + ended->text();
  return outcome;
}

}  // namespace

Result<void> can_be_run(const std::string& program) {
  if (::access(program.c_str(), X_OK) == 0) return {};
  return Error{program + " cannot be executed: " + std::strerror(errno)};
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
