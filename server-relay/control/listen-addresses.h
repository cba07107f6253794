/// From a configured endpoint to the addresses to bind.
#pragma once
#include <vector>

#include <asio/ip/tcp.hpp>

#include "common/base/result.h"
#include "common/net/endpoint.h"

namespace pgtandem {

/// The addresses of the endpoint's host; "" is every address of IPv6 and IPv4 (only IPv4 where the system has
/// no IPv6). A Unix socket is an error. Blocks while a name is resolved: for the start only.
Result<std::vector<asio::ip::tcp::endpoint>> listen_addresses(const Endpoint& endpoint);

}  // namespace pgtandem
