/// Where something listens: host and port, or the folder of a Unix socket and its port number.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace pgtandem {

struct Endpoint {
  std::string host;  ///< name or address; a leading '/' means the folder of a Unix socket, as in libpq
  std::uint16_t port = 0;

  bool is_unix() const { return host.starts_with('/'); }
  /// The socket's file: `folder/.s.PGSQL.port` (PostgreSQL manual, unix_socket_directories). Requires is_unix().
  std::string unix_path() const { return host + "/.s.PGSQL." + std::to_string(port); }
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

/// "host:port", "[v6]:port", "/folder:port", ":port" (every address; host is empty), or without a port where
/// `default_port` is not 0.
Result<Endpoint> parse_endpoint(std::string_view text, std::uint16_t default_port = 0);
/// The same form back; IPv6 in brackets.
std::string to_string(const Endpoint& endpoint);

}  // namespace pgtandem
