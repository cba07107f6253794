/// The control port: HTTP and JSON on RESTinio. Runs on the control thread's io_context; so do all its
/// handlers.
#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <asio/io_context.hpp>

#include "common/base/result.h"
#include "common/net/endpoint.h"

namespace pgtandem {

/// Largest body of a request, in bytes: no command needs more, and an unauthenticated caller must not cost
/// memory.
inline constexpr std::size_t kMaxControlBody = 1U << 20;
/// More than these are refused: what is left of the connections serves people, scrapers and the peer.
inline constexpr std::size_t kMaxControlConnections = 128;
inline constexpr std::size_t kMaxWatchers = 64;

struct ControlRequest {
  std::string method;
  std::string path;  ///< without the query string
  std::string query;
  std::string body;    ///< at most kMaxControlBody bytes
  std::string nonce;   ///< header X-Pgtandem-Nonce
  std::string mac;     ///< header X-Pgtandem-Mac
  std::string client;  ///< address of the caller, for the log
};

struct ControlReply {
  unsigned status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers = {};
};

/// Call exactly once, on the control thread.
using ControlResponder = std::function<void(ControlReply)>;

enum class RoleAnswer { master, standby, neither };

struct ControlHandlers {
  std::function<std::string()> status_json;   ///< GET /v1/status; also each event of /v1/watch
  std::function<std::string()> metrics_text;  ///< GET /metrics
  std::function<RoleAnswer()> role;           ///< GET /master and /standby: 200 or 503
  /// POST /v1/<command>, the bearer token already checked.
  std::function<void(const ControlRequest&, ControlResponder)> command;
  /// Everything below /v1/peer/, authenticated by the handler itself (common/roles/peer-auth.h).
  std::function<void(const ControlRequest&, ControlResponder)> peer;
  /// POST /v1/record without a token: a signed record of role that a forwarder carries (hard point 12).
  std::function<void(const ControlRequest&, ControlResponder)> record;
};

class ControlServer {
 public:
  /// `token`: the bearer token; empty refuses every command with 403 and a text that says how to set one.
  ControlServer(asio::io_context& context, std::vector<Endpoint> listen, std::string token,
                ControlHandlers handlers);
  ~ControlServer();

  /// Opens the ports; fails with the address and the reason.
  Result<void> start();
  /// From now on commands need this token; as in the constructor.
  void set_token(std::string token);
  /// Where it listens, with the port that the system chose where 0 was asked for.
  std::vector<Endpoint> listening() const;
  /// The status changed: every watcher gets it. Cheap when nobody watches. Also sent every 1 s as a
  /// heartbeat.
  void publish();
  /// Closes the ports and ends the watchers' streams; what still comes is answered 503. No handler runs after
  /// this.
  void stop();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;  ///< shared with the requests under way, which may outlive the server
};

}  // namespace pgtandem
