/// Who may write without a try: a statement whose rows its session has claimed (RowOrder in statement.h)
/// meets no lock and finds the same on both servers, if no other open transaction has locks or rows that no
/// claim tells of. The two exclude each other here. Pure.
///
///   untried   a statement under way that could not be undone if the two servers took it differently
///   untold    a transaction whose locks are not all claimed, or that makes or deletes rows, from before its
///   first
///             such statement until both servers have ended it
///
/// Each side tells first and looks then, so that of two that come together at least one sees the other.
#pragma once
#include <atomic>
#include <cstdint>

namespace pgtandem {

/// Thread-safe. One per database. Every begin has its end.
class UntriedWrites {
 public:
  /// False: there are transactions with untold locks (`own`: the caller's is one of them), so it must be
  /// tried.
  [[nodiscard]] bool begin_untried(bool own) {
    untried_.fetch_add(1);
    if (untold_.load() == (own ? 1U : 0U)) return true;
    untried_.fetch_sub(1);
    return false;
  }
  void end_untried() { untried_.fetch_sub(1); }

  void begin_untold() { untold_.fetch_add(1); }
  void end_untold() { untold_.fetch_sub(1); }
  /// Behind begin_untold(): whether one has to wait, in the gate, for those under way.
  bool is_anything_untried() const { return untried_.load() != 0; }

 private:
  std::atomic<std::uint32_t> untried_{0};
  std::atomic<std::uint32_t> untold_{0};
};

}  // namespace pgtandem
