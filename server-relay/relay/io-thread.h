/// One I/O thread: its io_context, the sessions pinned to it, their shared scratch buffer, and its copy of
/// the authority. Everything here is used on that thread only, except what is marked atomic and post().
#pragma once
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include "server-relay/control/relay-counters.h"
#include "server-relay/keeper/floor.h"
#include "server-relay/relay/release-right.h"

namespace pgtandem {

using SteadyTime = std::chrono::steady_clock::time_point;

/// What a thread tells its sessions. Implemented by every kind of session.
class SessionBase {
 public:
  virtual ~SessionBase() = default;
  virtual void on_authority() = 0;
  /// Every kTick: clocks of standby and login.
  virtual void on_tick(SteadyTime now) = 0;
  /// Ends the session with 57P01; with when_idle as soon as it is idle and both legs have matched.
  virtual void end_for_operator(SessionEnd how, const std::string& message) = 0;
};

/// Written by one thread, read by any: plain sums for status and metrics.
struct ThreadCounters {
  std::atomic<std::uint64_t> sessions_open{0}, sessions_total{0}, sessions_refused{0};
  std::atomic<std::uint64_t> units{0}, writes{0};
  std::atomic<std::uint64_t> frontend_bytes{0}, backend_bytes{0}, standby_bytes{0};
  std::atomic<std::uint64_t> differences_write{0}, differences_read{0};
  std::atomic<std::uint64_t> lag_units{0};  ///< at the last tick
  /// For hard point 1: units under way that are not known to read, and when the last one ended (steady clock,
  /// ns).
  std::atomic<std::int64_t> open_writes{0};
  std::atomic<std::int64_t> last_write_end{0};
  /// How long units waited for the standby's match: as WaitHistogram counts it, and one for longer ones.
  std::array<std::atomic<std::uint64_t>, WaitHistogram::kBounds.size() + 1> standby_wait{};
  std::atomic<std::uint64_t> standby_wait_us{0};

  /// Single writer: no locked instruction needed.
  static void add(std::atomic<std::uint64_t>& counter, std::uint64_t n = 1) {
    counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
};

class IoThread {
 public:
  static constexpr std::size_t kScratchSize = 64U << 10;  ///< bytes: one read takes at most this
  static constexpr std::chrono::milliseconds kTick{100};
  /// After standing still this long, nothing is released before the peer was asked (hard point 9).
  static constexpr std::chrono::milliseconds kStallLimit{1000};

  IoThread(KeeperReports*& keeper, const ReleaseRight& right)
      : keeper_(keeper), right_(right), ticker_(context_) {}
  ~IoThread() { stop(); }

  void start();
  /// Ends the loop and joins the thread; sessions still there are dropped.
  void stop();

  asio::io_context& context() { return context_; }
  std::array<std::byte, kScratchSize + 1024>& scratch() { return *scratch_; }
  const Authority& authority() const { return authority_; }
  ThreadCounters& counters() { return counters_; }
  const ThreadCounters& counters() const { return counters_; }

  void set_authority(const Authority& authority);
  /// May output go to a frontend, and may a unit start? The authority, the check for a stall, and the right
  /// to be master (R5). Where it says no, on_authority() follows as soon as it may be yes. Guests need no
  /// right of this node: what they are told is on the master, which ends their legs when it must.
  bool may_release();
  /// The right has been extended: sessions that found it expired are told.
  void on_right();

  /// Every session, from accept on.
  void add(SessionBase* session) { sessions_.insert(session); }
  void remove(SessionBase* session);
  /// From here on the session has, or asks for, connections to servers: it has to end before the role
  /// changes. A frontend that merely waits does not.
  void begin_serving(SessionBase* session) { serving_.insert(session); }
  /// Calls `empty` on this thread as soon as no serving session is left.
  void when_empty(std::function<void()> empty);
  /// Calls `gone` on this thread as soon as none of the sessions is left that were serving when
  /// Authority::guests last came into force.
  void when_guests_gone(std::function<void()> gone);
  void end_sessions(SessionEnd how, const std::string& message);
  std::size_t session_count() const { return sessions_.size(); }
  /// A session ended while a unit was under way: the two servers may have taken it differently.
  void note_unmatched_end() { all_matched_ = false; }
  /// Did every session end matched since the last call?
  bool take_all_matched() { return std::exchange(all_matched_, true); }

 private:
  bool found_stalled(std::int64_t now_ms);
  void tell_authority();
  void tick();

  KeeperReports*& keeper_;
  const ReleaseRight& right_;
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
  asio::steady_timer ticker_;
  std::thread thread_;
  std::unique_ptr<std::array<std::byte, kScratchSize + 1024>> scratch_ =
      std::make_unique<std::array<std::byte, kScratchSize + 1024>>();
  Authority authority_;
  bool stalled_ = false;        ///< found, and not yet answered by a new authority
  bool found_expired_ = false;  ///< the right; and not yet extended
  std::int64_t last_alive_ms_ = 0;
  std::unordered_set<SessionBase*> sessions_;
  std::unordered_set<SessionBase*> serving_;
  std::unordered_set<SessionBase*> guests_;
  std::vector<std::function<void()>> when_empty_;
  std::vector<std::function<void()>> when_guests_gone_;
  bool all_matched_ = true;
  ThreadCounters counters_;
};

}  // namespace pgtandem
