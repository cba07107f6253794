/// Names to addresses and connecting over all of them, with one time limit for the whole. A coroutine of
/// these must run on one thread or in a strand. A cancelled one ends with
/// an error, or with asio::system_error(operation_aborted) as asio's own do.
#pragma once
#include <chrono>
#include <vector>

#include <asio/awaitable.hpp>
#include <asio/ip/tcp.hpp>

#include "common/base/result.h"
#include "common/net/endpoint.h"

namespace pgtandem {

using Deadline = std::chrono::steady_clock::time_point;

/// All addresses of the host, asked anew each time; an address in figures is not looked up. A lookup that the
/// system does not answer is left behind at the deadline (it ends in the background).
asio::awaitable<Result<std::vector<asio::ip::tcp::endpoint>>> resolve_tcp(Endpoint server, Deadline deadline);

/// Tries the addresses one after the other; each may use its share of the time that is left, so that a dead
/// first address does not cost the second its turn. The error names the server and the last reason.
asio::awaitable<Result<asio::ip::tcp::socket>> connect_tcp(Endpoint server, Deadline deadline);

}  // namespace pgtandem
