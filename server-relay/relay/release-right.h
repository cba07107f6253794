/// R5: until when this node may release output. Written on the control thread, read on every I/O thread
/// before each release, so that a right that runs out stops them even while the control thread stands still.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>

namespace pgtandem {

class ReleaseRight {
 public:
  /// `limited`: there is a witness, and so no right before the first set_until().
  explicit ReleaseRight(bool limited) : until_ms_(limited ? 0 : std::numeric_limits<std::int64_t>::max()) {}

  /// On the clock of role_clock_now().steady.
  void set_until(std::chrono::milliseconds until) { until_ms_.store(until.count()); }
  bool in_force(std::int64_t now_ms) const { return now_ms < until_ms_.load(); }

 private:
  std::atomic<std::int64_t> until_ms_;
};

}  // namespace pgtandem
