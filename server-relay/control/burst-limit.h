/// Lets one event a second through and counts the rest: what a hostile peer can cause must not fill the log.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

namespace pgtandem {

/// Pure; one thread.
class BurstLimit {
 public:
  using Clock = std::chrono::steady_clock;

  /// How many were kept back since the last one that passed, or nothing where this one is kept back too.
  std::optional<std::uint64_t> pass(Clock::time_point now) {
    if (last_ && now - *last_ < std::chrono::seconds(1)) {
      ++kept_back_;
      return std::nullopt;
    }
    last_ = now;
    return std::exchange(kept_back_, 0);
  }
  /// What was kept back more than a second ago and still has to be told; 0 if there is nothing.
  std::uint64_t flush(Clock::time_point now) {
    if (kept_back_ == 0 || (last_ && now - *last_ < std::chrono::seconds(1))) return 0;
    last_ = now;
    return std::exchange(kept_back_, 0);
  }

 private:
  std::optional<Clock::time_point> last_;
  std::uint64_t kept_back_ = 0;
};

}  // namespace pgtandem
