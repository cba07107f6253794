/// Opens connections to the other server: through the other relay's leg port in a pair, directly in the
/// flags-only mode. Thread-safe; each call runs on the caller's thread.
#pragma once
#include <chrono>
#include <string>

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>

#include "common/base/secret.h"
#include "common/config/settings.h"
#include "common/net/stream.h"
#include "server-relay/legs/leg-hello.h"

namespace pgtandem {

/// Shakes hands on a connection to a leg port. The error says what the other relay answered.
struct LegIdentity {
  Uuid cluster;
  Node node = Node::none;
  const Secret& key;
};
asio::awaitable<Result<LegAnswer>> greet_leg_port(Stream& stream, const LegIdentity& self, Epoch epoch,
                                                  LegKind kind, std::string client);

class LegOpener {
 public:
  LegOpener(const RelaySettings& settings, const Secret& pair_key);

  /// A stream to the other server's postmaster, ready for a startup packet or a cancel request; or, for kind
  /// frontend, to the active relay, ready for a frontend's first byte. `limit` for the whole. `client` names
  /// the frontend.
  asio::awaitable<Result<Stream>> open(asio::io_context& context, LegKind kind, Epoch epoch,
                                       std::string client, std::chrono::milliseconds limit) const;
  /// Where legs go, for messages.
  std::string where() const;

 private:
  const RelaySettings& settings_;
  const Secret& pair_key_;
};

}  // namespace pgtandem
