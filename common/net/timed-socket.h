/// A connected socket that is closed when its time is over. One thread or strand.
#pragma once
#include <memory>

#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include "common/net/connect.h"

namespace pgtandem {

/// Shared with the timer's handler, which may run after the coroutine that uses it has gone.
struct TimedSocket : std::enable_shared_from_this<TimedSocket> {
  explicit TimedSocket(asio::ip::tcp::socket connected)
      : socket(std::move(connected)), limit(socket.get_executor()) {}

  void expire_at(Deadline deadline) {
    limit.expires_at(deadline);
    limit.async_wait([self = shared_from_this()](asio::error_code code) {
      // Moved on since: the handler was already queued.
      if (code || self->limit.expiry() > std::chrono::steady_clock::now()) return;
      self->expired = true;
      asio::error_code ignored;
      self->socket.close(ignored);
    });
  }
  void close() {
    limit.cancel();
    asio::error_code ignored;
    socket.close(ignored);
  }

  asio::ip::tcp::socket socket;
  asio::steady_timer limit;
  bool expired = false;
};

}  // namespace pgtandem
