#include "common/net/endpoint.h"

#include <charconv>

namespace pgtandem {

Result<Endpoint> parse_endpoint(std::string_view text, std::uint16_t default_port) {
  const auto wrong = [&](std::string_view why) {
    return Error{"'" + std::string(text) + "' is no address: " + std::string(why) +
                 " (forms: host:port, [ipv6]:port, /socket/folder:port)"};
  };
  Endpoint endpoint;
  std::string_view port_text;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return wrong("the bracket is not closed");
    endpoint.host = text.substr(1, end - 1);
    const std::string_view rest = text.substr(end + 1);
    if (!rest.empty() && rest[0] != ':') return wrong("a colon and a port should follow the bracket");
    port_text = rest.empty() ? rest : rest.substr(1);
  } else {
    const std::size_t colon = text.rfind(':');
    if (colon != std::string_view::npos && text.find(':') != colon) return wrong("put an IPv6 address in brackets");
    endpoint.host = text.substr(0, colon);
    if (colon != std::string_view::npos) port_text = text.substr(colon + 1);
  }
  if (port_text.empty()) {
    if (default_port == 0) return wrong("the port is missing");
    endpoint.port = default_port;
    return endpoint;
  }
  unsigned port = 0;
  const auto [end, failure] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (failure != std::errc{} || end != port_text.data() + port_text.size() || port == 0 || port > 65535) {
    return wrong("the port must be a number from 1 to 65535");
  }
  endpoint.port = std::uint16_t(port);
  return endpoint;
}

std::string to_string(const Endpoint& endpoint) {
  const bool brackets = endpoint.host.find(':') != std::string::npos;
  return (brackets ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
}

}  // namespace pgtandem
