/// Who waits for whose transaction (design page 2, rules 3 and 4; hard point 20): units that met a lock stand
/// aside ("parked") until one of the sessions that held it has ended a transaction or rolled back to a
/// savepoint. Finds cycles. Pure.
///
/// A session that moves lets the one go that has been behind it longest, of those who want the same rows as
/// far as that is known; the others stay behind that one. (If all tried, all but one would meet it again,
/// inside the gate.) Such a place is a guess: it counts in no cycle, and whoever stands aside tries again now
/// and then anyway.
#pragma once
#include <cstdint>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace pgtandem {

/// Thread-safe. One per database. Callbacks run without the mutex on the thread of whoever moves, and may do
/// no more than post.
class Waits {
 public:
  using Retry = std::function<void()>;

  /// Parks `session` behind `blockers`. False: it would close a cycle of parked sessions, and is not parked.
  /// With no blockers it waits for any session to move. Who is parked again keeps its place in time. `key`:
  /// of the rows that it wants (row_key()); 0: not known.
  [[nodiscard]] bool park(std::uint64_t session, std::vector<std::uint64_t> blockers, Retry retry,
                          std::uint64_t key = 0);
  /// Parks it behind `holder`, which is only a guess.
  void park_behind(std::uint64_t session, std::uint64_t holder, Retry retry, std::uint64_t key = 0);
  /// Not parked any more, and waits nowhere: it tries again, or goes on, or gives up.
  void unpark(std::uint64_t session);
  /// What `session` runs has been done by the master, and waits on the standby for somebody.
  void note_wait_on_standby(std::uint64_t session);
  bool waits_on_standby(std::uint64_t session) const;
  /// `session` has freed locks: those parked behind it try again.
  void moved(std::uint64_t session);
  std::size_t parked() const;
  bool is_parked(std::uint64_t session) const;

 private:
  struct Parked {
    std::vector<std::uint64_t> blockers;
    std::uint64_t behind = 0;  ///< the guess
    std::uint64_t since = 0;   ///< rises with every session that is parked
    std::uint64_t key = 0;
    Retry retry;
    bool waits_for(std::uint64_t session) const;
  };
  void put(std::uint64_t session, Parked parked);
  bool reaches(std::uint64_t from, std::uint64_t target, std::size_t depth) const;

  mutable std::mutex mutex_;
  std::unordered_map<std::uint64_t, Parked> parked_;
  std::unordered_set<std::uint64_t> on_standby_;
  std::uint64_t count_ = 0;
};

}  // namespace pgtandem
