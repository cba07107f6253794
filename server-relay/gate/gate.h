/// The one place where the units of all sessions of a database are put in order (discipline `serial`; design
/// page 2, hard points 14, 19 and 26). Knows nothing of SQL, sockets or threads' loops.
///
///   write   one at a time, and while no end passes
///   local   any number together, beside ends: writes whose order the servers' row locks decide (row-local.h)
///   end     any number together, so that both servers can commit a group at once
///   alone   one, while nothing else passes (what may commit inside, or cannot be repeated)
///   read    does not pass the gate, except that a write which `excludes_reads` waits for those under way
///           and keeps new ones out
///
/// Life of a request: waiting (in the order of asking, but ends before all others: a session has at most one,
/// and they free what the others want), granted, left. Whoever leaves calls the callbacks of those he let in,
/// on his own thread and without the mutex: a callback may do no more than post.
#pragma once
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

namespace pgtandem {

enum class GateMode : std::uint8_t { write, local, end, alone };

struct GateRequest {
  std::uint64_t session = 0;
  GateMode mode = GateMode::write;
  bool excludes_reads = false;  ///< write or alone: takes locks in conflict with readers
  bool before_end = false;      ///< what a COMMIT has to do first: counts as its end
};

/// Thread-safe. One per database.
class Gate {
 public:
  using Granted = std::function<void()>;

  /// True: let in at once, `granted` is not called. A session has at most one request.
  bool enter(const GateRequest& request, Granted granted);
  /// The write, or local, that is inside is done and goes on as an end: nobody comes between the two, so that
  /// nobody meets its locks.
  void turn_into_end(std::uint64_t session);
  /// Leaves, or gives up waiting. Does nothing for a session that has no request.
  void leave(std::uint64_t session);

  /// True: go on. Otherwise `granted` is called when reads are let in again; it has then entered.
  bool enter_read(Granted granted);
  void leave_read();

  /// The unit of `holder`, which is inside alone, waits for a lock of these sessions: their ends may pass
  /// beside it, one at a time.
  void let_ends_pass(std::uint64_t holder, std::vector<std::uint64_t> sessions);
  /// What `session` does inside takes too long: from here on it keeps nobody out any more.
  void let_others_pass(std::uint64_t session);
  /// Of these sessions, one that waits here with something that is no end; 0: none does.
  std::uint64_t waiting_without_end(const std::vector<std::uint64_t>& sessions) const;

  struct Counts {
    std::size_t inside = 0;
    std::size_t waiting = 0;
    std::size_t reading = 0;
  };
  Counts counts() const;

 private:
  struct Waiting {
    GateRequest request;
    Granted granted;
  };
  using Calls = std::vector<Granted>;

  bool fits(const GateRequest& request) const;
  bool may_pass_beside_holder(const GateRequest& request) const;
  bool reads_are_over(const GateRequest& request);
  void let_in(Calls& calls);
  void let_ends_in(Calls& calls);
  static void call(Calls& calls);

  mutable std::mutex mutex_;
  std::deque<Waiting> waiting_;
  std::vector<GateRequest> inside_;
  std::vector<std::uint64_t> passing_;  ///< whose ends may pass beside the one that is alone
  std::vector<Granted> readers_waiting_;
  /// Reads come and go without the mutex while nobody excludes them.
  std::atomic<std::int64_t> reading_{0};
  std::atomic<bool> reads_excluded_{false};
};

}  // namespace pgtandem
