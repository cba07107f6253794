/// The relay's own access list (1-session.md): the servers no longer see the client's address. First match
/// wins; without rules loopback and the Unix socket are allowed. Immutable, thread-safe.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include <asio/ip/address.hpp>

#include "common/base/result.h"
#include "common/config/settings.h"

namespace pgtandem {

class AccessList {
 public:
  /// Fails with the rule that cannot be understood.
  static Result<AccessList> parse(const std::vector<AccessRule>& rules);

  /// `client` as Stream::peer_name() says it: "192.0.2.1:4711", "[::1]:4711" or "local".
  bool allows(std::string_view client, std::string_view database, std::string_view user) const;

 private:
  struct Rule {
    bool any_address = false;
    bool local = false;
    asio::ip::address network;
    unsigned prefix = 0;
    std::string database;
    std::string user;
    bool allow = true;
  };
  static bool matches(const Rule& rule, bool local, const asio::ip::address& address);

  std::vector<Rule> rules_;
};

}  // namespace pgtandem
