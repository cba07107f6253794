/// How this relay reaches the other one's control port. A real boundary: the tests have one in memory.
#pragma once
#include <string>

#include <asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/base/secret.h"
#include "common/config/settings.h"
#include "common/net/endpoint.h"

namespace pgtandem {

class PeerLink {
 public:
  virtual ~PeerLink() = default;
  /// One request, `POST /v1/peer/<verb>`, and the body of its authenticated answer of status 200. Control
  /// thread. The error says why there is none; it is a silence as far as roles are concerned.
  virtual asio::awaitable<Result<std::string>> call(std::string verb, std::string body,
                                                    Milliseconds timeout) = 0;
};

/// By HTTP, authenticated as common/roles/peer-auth.h says.
class HttpPeerLink final : public PeerLink {
 public:
  HttpPeerLink(Endpoint control_port, const Secret& pair_key)
      : control_port_(std::move(control_port)), pair_key_(pair_key) {}

  asio::awaitable<Result<std::string>> call(std::string verb, std::string body,
                                            Milliseconds timeout) override;

 private:
  asio::awaitable<Result<std::string>> challenge(Milliseconds timeout);

  Endpoint control_port_;
  Secret pair_key_;
};

}  // namespace pgtandem
