/// Sockets that are waited for without asio: by libpq's connections, which have a thread of their own.
#pragma once
#include <chrono>
#include <span>

#include <asio/detail/socket_types.hpp>

namespace pgtandem {

using SocketHandle = asio::detail::socket_type;  ///< int, on Windows SOCKET

struct PolledSocket {
  SocketHandle handle{};
  bool read = false;   ///< wait until it can be read from
  bool write = false;  ///< wait until it can be written to
  bool ready = false;  ///< the answer: one of the two, or it has failed
};

/// Waits until one of them is ready, at most `limit`. How many are; 0: none, or a signal came.
int poll_sockets(std::span<PolledSocket> sockets, std::chrono::milliseconds limit);

/// Can it be read from (or accepted from) now?
inline bool readable_now(SocketHandle handle) {
  PolledSocket one{handle, true};
  return poll_sockets({&one, 1}, std::chrono::milliseconds(0)) > 0;
}

}  // namespace pgtandem
