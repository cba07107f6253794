#include "server-relay/control/listen-addresses.h"

#include <algorithm>

#include <asio/io_context.hpp>
#include <asio/ip/v6_only.hpp>

namespace pgtandem {
namespace {

using asio::ip::tcp;

bool system_has_ipv6() {
  asio::io_context context;
  tcp::acceptor probe(context);
  asio::error_code error;
  probe.open(tcp::v6(), error);
  if (!error) probe.set_option(asio::ip::v6_only(true), error);
  if (!error) probe.bind(tcp::endpoint(tcp::v6(), 0), error);
  return !error;
}

}  // namespace

Result<std::vector<tcp::endpoint>> listen_addresses(const Endpoint& endpoint) {
  if (endpoint.is_unix()) {
    return Error{"'" + to_string(endpoint) +
                 "' is a Unix socket, and the control port is TCP: use address:port"};
  }
  std::vector<tcp::endpoint> addresses;
  if (endpoint.host.empty()) {
    // With port 0 the two families would get two ports: IPv4 alone then.
    if (endpoint.port != 0 && system_has_ipv6()) addresses.emplace_back(tcp::v6(), endpoint.port);
    addresses.emplace_back(tcp::v4(), endpoint.port);
    return addresses;
  }
  asio::io_context context;
  tcp::resolver resolver(context);
  asio::error_code error;
  const auto found =
      resolver.resolve(endpoint.host, std::to_string(endpoint.port), tcp::resolver::passive, error);
  if (error) {
    return Error{"the name '" + endpoint.host + "' of the control port does not resolve: " + error.message()};
  }
  for (const auto& entry : found) {
    const bool known = std::find(addresses.begin(), addresses.end(), entry.endpoint()) != addresses.end();
    if (!known) addresses.push_back(entry.endpoint());
  }
  return addresses;
}

}  // namespace pgtandem
