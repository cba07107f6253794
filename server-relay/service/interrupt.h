/// Ends the waits of a service connection. A sibling file for each kind of system has what wakes a poll
/// there.
#pragma once
#include <chrono>

#include "common/net/socket-poll.h"

namespace pgtandem {

using ServiceClock = std::chrono::steady_clock;

/// Ends every wait, now and later: the owner is stopping. raise() is thread-safe.
class Interrupt {
 public:
  Interrupt();  ///< throws std::system_error when the process has no file descriptors left
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  void raise();
  bool raised() const { return readable_now(signal_); }
  /// For time alone: ends at the deadline, or earlier when raised.
  void pause(ServiceClock::time_point deadline) const;
  /// Waits for the socket. Returns false at the deadline and when raised.
  bool wait(PolledSocket socket, ServiceClock::time_point deadline) const;

 private:
  SocketHandle signal_{};  ///< readable from raise() on
};

}  // namespace pgtandem
