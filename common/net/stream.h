/// A byte stream to a peer: TCP or Unix socket today; TLS will stand behind the same four operations.
/// Non-blocking attempts and readiness waits are separate, so that an idle connection needs no buffer of its
/// own and no operation carries one. One thread.
#pragma once
#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <system_error>

#include <asio/awaitable.hpp>
#include <asio/generic/stream_protocol.hpp>
#include <asio/io_context.hpp>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/net/endpoint.h"

namespace pgtandem {

class Stream {
 public:
  using Socket = asio::generic::stream_protocol::socket;

  struct Transfer {
    std::size_t bytes = 0;
    bool would_block = false;
    bool ended = false;  ///< read: the peer closed in order; or failed
    std::error_code failure;
  };

  explicit Stream(asio::io_context& context) : socket_(context) {}
  /// Takes a connected socket over: non-blocking, without Nagle's delay, with keepalive.
  explicit Stream(Socket socket);

  Transfer try_read(std::span<std::byte> into);
  Transfer try_write(ByteSpan data);
  /// Both end with an error when the stream is closed, by either side of this process too.
  asio::awaitable<std::error_code> readable();
  asio::awaitable<std::error_code> writable();

  bool is_open() const { return socket_.is_open(); }
  /// Closes at once; whoever waits wakes with operation_aborted.
  void close();
  /// Ends the outgoing direction only.
  void shutdown_send();
  /// "192.0.2.1:4711" or "local", for logs; empty if unknown.
  std::string peer_name() const;
  Socket& socket() { return socket_; }

 private:
  Socket socket_;
};

/// Connects to a TCP endpoint (trying each address of the name) or a Unix socket within `limit`. The error
/// says what was tried. Runs on the calling coroutine's thread, which must run `context`.
asio::awaitable<Result<Stream>> connect_stream(asio::io_context& context, Endpoint endpoint,
                                               std::chrono::milliseconds limit);

/// Writes all of `data`; Stream errors end it.
asio::awaitable<std::error_code> write_all(Stream& stream, ByteSpan data);
/// Reads exactly `into.size()` bytes.
asio::awaitable<std::error_code> read_exactly(Stream& stream, std::span<std::byte> into);

}  // namespace pgtandem
