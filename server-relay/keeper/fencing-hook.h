/// R11: the executable that powers the other host off. A real boundary: tests have one in memory.
#pragma once
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/result.h"

namespace pgtandem {

struct HookOutcome {
  bool confirmed = false;  ///< it ended by itself with status 0: the other host is off
  std::string why;         ///< where not confirmed
  std::string output;      ///< its first lines, for the log
};

class FencingHook {
 public:
  virtual ~FencingHook() = default;
  /// `done` once, on any thread, unless this object is destroyed before; one run at a time.
  virtual void run(std::function<void(HookOutcome)> done) = 0;
};

struct HookOptions {
  std::string program;                 ///< a full path
  std::vector<std::string> arguments;  ///< the node to power off, and its host
  std::chrono::milliseconds limit{5000};
};

/// Fails with the program's name and the reason.
Result<void> can_be_run(const std::string& program);

/// Runs it in a process group of its own (a job on Windows), on a thread of its own. At the limit, and when
/// this object is destroyed, the whole group is killed. A sibling file for each kind of system.
class HookProcess final : public FencingHook {
 public:
  explicit HookProcess(HookOptions options) : options_(std::move(options)) {}
  ~HookProcess() override;

  void run(std::function<void(HookOutcome)> done) override;

 private:
  HookOptions options_;
  std::jthread thread_;
};

}  // namespace pgtandem
