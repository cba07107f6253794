/// Talks to a relay's control port: the status, commands with the token, and the live stream.
#pragma once
#include <chrono>
#include <functional>
#include <string>

#include <asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/base/secret.h"
#include "common/control/status-view.h"
#include "common/net/endpoint.h"

namespace pgtandem {

inline constexpr std::chrono::seconds kStatusTimeout{3};
/// For commands: a takeover waits for old backends to end (takeover_timeout, 10 s by default).
inline constexpr std::chrono::seconds kCommandTimeout{60};
/// A relay sends at least every second; a stream that is silent for so long is dead.
inline constexpr std::chrono::seconds kWatchSilence{5};

/// A status with the text it came as.
struct StatusAnswer {
  StatusView view;
  std::string json;
};

/// What a relay said to a command.
struct CommandAnswer {
  bool ok = false;
  unsigned status = 0;
  std::string body;        ///< JSON, as it came
  std::string text;        ///< what was done, where ok; may be empty
  std::string error;       ///< one sentence, where !ok
  std::string what_to_do;  ///< the next step, where !ok; may be empty
};

class ControlClient {
 public:
  /// `token` may be empty: commands are then refused by the relay.
  explicit ControlClient(Endpoint control_port, Secret token = Secret());

  const Endpoint& server() const { return server_; }

  /// Errors: the port does not answer in time, or answers no status.
  asio::awaitable<Result<StatusAnswer>> status(std::chrono::milliseconds timeout = kStatusTimeout) const;
  /// POST /v1/<command> with a JSON body. A refusal is an answer; an error is a relay that cannot be reached
  /// or does not speak JSON.
  asio::awaitable<Result<CommandAnswer>> command(std::string name, std::string json_body,
                                                 std::chrono::milliseconds timeout = kCommandTimeout) const;
  /// Calls `on_status` for each event until it returns false, the relay ends the stream, or silence.
  asio::awaitable<Result<void>> watch(std::function<bool(const StatusAnswer&)> on_status) const;

 private:
  Endpoint server_;
  Secret token_;
};

/// An answer's body as it came over HTTP; pure.
Result<CommandAnswer> parse_command_answer(unsigned http_status, const std::string& body);

}  // namespace pgtandem
