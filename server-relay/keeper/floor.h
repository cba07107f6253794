/// The seam between the keeper (who is master) and the sessions (what they may do). The keeper runs on the
/// control thread; sessions run on the I/O threads.
#pragma once
#include <functional>
#include <string>

#include "common/base/ids.h"
#include "common/config/settings.h"

namespace pgtandem {

/// What becomes of a frontend that arrives, or has just arrived.
enum class Service {
  refuse,   ///< 57P03 with Authority::refusal
  pass_on,  ///< handed to the peer's relay, which is the active one
  wait,     ///< held until another value comes (a bootstrap, a standby that is restarting)
  serve,
};

/// What an I/O thread may do right now. The keeper decides it; each thread holds a copy.
struct Authority {
  Epoch epoch = 0;
  Service service = Service::refuse;
  bool outputs_held = true;  ///< R2: nothing of what R1 holds may be released, and no unit may start
  bool mirrored = false;     ///< sessions have a standby leg, and R1 waits for its match
  /// Hard point 10: the other node is master now. Sessions that were here before go on with its server alone:
  /// what that server's legs say is released, whatever set_right() said, since that node answers for it. New
  /// frontends follow `service`. KeeperReports::guests_ended() tells when the last of those sessions is gone.
  bool guests = false;
  std::string refusal = "the relay is starting";  ///< for Service::refuse: why, and what to do
};

enum class SessionEnd {
  at_once,    ///< FATAL to the frontend, legs cut
  when_idle,  ///< at the next unit boundary outside a transaction, both legs matched and closed in order
};

/// Implemented by the relay (sessions and leg port); called on the control thread only. Every callback is
/// called exactly once, later, on the control thread.
class Floor {
 public:
  virtual ~Floor() = default;

  /// `in_force` after every I/O thread has taken it over (hard point 26).
  virtual void set_authority(const Authority& authority, std::function<void()> in_force) = 0;
  /// Ends all sessions with 57P01 and `message`. With when_idle, what is not idle after `limit` is ended at
  /// once; `all_matched` tells whether every session ended with its legs matched (what a clean stop needs).
  virtual void end_sessions(SessionEnd how, Milliseconds limit, const std::string& message,
                            std::function<void(bool all_matched)> done) = 0;
  /// The leg port: legs that name an epoch below `epoch` are refused from now on, those that are open are
  /// closed.
  virtual void refuse_legs_below(Epoch epoch, std::function<void()> done) = 0;
  /// Ends every client backend of this node's postmaster except the relay's own service connection and waits
  /// until pg_stat_activity shows none (hard point 8). `ok` is false if that could not be seen within
  /// `limit`.
  virtual void end_local_backends(Milliseconds limit,
                                  std::function<void(bool ok, std::string why_not)> done) = 0;
  /// R5: output may be released until then (the clock of role_clock_now().steady), which every I/O thread
  /// looks at before each release. In force at once. With a witness there is no right before the first call,
  /// without one there is no limit and this is never called.
  virtual void set_right(Milliseconds until) = 0;
};

/// Implemented by the keeper; thread-safe: sessions call it from their I/O thread. The calling session has
/// already stopped releasing output.
class KeeperReports {
 public:
  virtual ~KeeperReports() = default;
  /// The standby failed or differs (R2): one sentence. Many sessions may report the same loss.
  virtual void standby_failed(const std::string& reason) = 0;
  /// An I/O thread found that it stood still for over 1 s (hard point 9).
  virtual void stalled(Milliseconds for_how_long) = 0;
  /// The own postmaster was found lost (hard point 13), or answers again.
  virtual void own_postmaster(bool alive, const std::string& why) = 0;
  /// The own postmaster was lost under a unit that had gone to both legs: either server may have committed
  /// what the other has not (R9). Unlike standby_failed, the standby stays joined until the postmaster is
  /// back: it has all that was acknowledged, and an operator may promote it. Call it before the session ends.
  virtual void copies_may_differ(const std::string& why) { standby_failed(why); }
  /// The last session that was here when Authority::guests came into force has ended; at once where there was
  /// none. Once for each time that it came into force.
  virtual void guests_ended() = 0;
};

}  // namespace pgtandem
