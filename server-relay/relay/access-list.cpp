#include "server-relay/relay/access-list.h"

#include <algorithm>
#include <charconv>

#include "common/net/endpoint.h"

namespace pgtandem {
namespace {

/// An IPv4 client of an IPv6 listener shows as ::ffff:a.b.c.d.
asio::ip::address plain(const asio::ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
  }
  return address;
}

template <typename Bytes>
bool same_prefix(const Bytes& a, const Bytes& b, unsigned bits) {
  for (std::size_t i = 0; i < a.size() && bits > 0; ++i) {
    const unsigned here = bits < 8 ? bits : 8;
    const unsigned mask = 0xFFU << (8 - here) & 0xFFU;
    if ((a[i] & mask) != (b[i] & mask)) return false;
    bits -= here;
  }
  return true;
}

}  // namespace

Result<AccessList> AccessList::parse(const std::vector<AccessRule>& rules) {
  AccessList list;
  for (const AccessRule& given : rules) {
    Rule rule;
    rule.database = given.database;
    rule.user = given.user;
    rule.allow = given.allow;
    rule.any_address = given.address == "all";
    rule.local = given.address == "local";
    if (!rule.any_address && !rule.local) {
      const std::string wrong =
          "access rule: '" + given.address + "' is no address range, \"all\" or \"local\"";
      const std::size_t slash = given.address.find('/');
      std::error_code failure;
      rule.network = plain(asio::ip::make_address(given.address.substr(0, slash), failure));
      if (failure) return Error{wrong};
      const unsigned width = rule.network.is_v4() ? 32 : 128;
      rule.prefix = width;
      if (slash != std::string::npos) {
        const char* const begin = given.address.data() + slash + 1;
        const char* const end = given.address.data() + given.address.size();
        const auto [stop, bad] = std::from_chars(begin, end, rule.prefix);
        if (bad != std::errc{} || stop != end || rule.prefix > width) return Error{wrong};
      }
    }
    list.rules_.push_back(std::move(rule));
  }
  if (rules.empty()) {
    return parse({{"local", "all", "all", true},
                  {"127.0.0.0/8", "all", "all", true},
                  {"::1/128", "all", "all", true}});
  }
  return list;
}

bool AccessList::matches(const Rule& rule, bool local, const asio::ip::address& address) {
  if (rule.any_address) return true;
  if (local || rule.local) return local && rule.local;
  if (rule.network.is_v4() != address.is_v4()) return false;
  return address.is_v4()
             ? same_prefix(rule.network.to_v4().to_bytes(), address.to_v4().to_bytes(), rule.prefix)
             : same_prefix(rule.network.to_v6().to_bytes(), address.to_v6().to_bytes(), rule.prefix);
}

bool AccessList::allows(std::string_view client, std::string_view database, std::string_view user) const {
  const bool local = client == "local";
  asio::ip::address address;
  if (!local) {
    const Result<Endpoint> endpoint = parse_endpoint(client);
    std::error_code failure;
    if (endpoint) address = plain(asio::ip::make_address(endpoint->host, failure));
    if (!endpoint || failure) return false;
  }
  for (const Rule& rule : rules_) {
    if (matches(rule, local, address) && (rule.database == "all" || rule.database == database) &&
        (rule.user == "all" || rule.user == user)) {
      return rule.allow;
    }
  }
  return false;
}

}  // namespace pgtandem
