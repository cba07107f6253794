/// One application's connection and its connection to a relay. Owned by the forwarder's list while run()
/// runs; one thread.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <asio/awaitable.hpp>
#include <asio/ip/tcp.hpp>

#include "client-forwarder/change-signal.h"
#include "client-forwarder/follower.h"
#include "client-forwarder/pump.h"
#include "common/config/settings.h"

namespace pgtandem {

/// Why a session ended; the first reason holds.
enum class SessionOutcome {
  open,            ///< it has not
  finished,        ///< both sides ended in order
  client_gone,     ///< the application's connection broke
  relay_gone,      ///< the relay's connection broke
  master_changed,  ///< the relay is no longer the master's
  no_master,       ///< nothing to connect to within connect_wait
  stopped,         ///< the forwarder stops
};
std::string_view to_string(SessionOutcome outcome);

/// What sessions share; outlives them.
struct SessionSurroundings {
  const ForwarderSettings& settings;
  const Follower& follower;
  ChangeSignal& target_changed;
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(asio::ip::tcp::socket client, SessionSurroundings surroundings);

  /// The whole life: wait for a master, connect, pass bytes on. Logs how it ended.
  asio::awaitable<void> run();

  /// Ends it, whatever it is doing. Does nothing after the first time.
  void end(SessionOutcome outcome);
  /// `relay` lost its right to have sessions. One that is still connecting finds out by itself and goes
  /// elsewhere.
  bool end_if_connected_to(std::size_t relay);

 private:
  asio::awaitable<bool> connect();
  asio::awaitable<bool> try_relay(std::size_t relay);
  asio::awaitable<void> pass_on();
  asio::awaitable<void> one_way(bool from_client);
  asio::awaitable<void> refuse();
  void log_end() const;

  const SessionSurroundings surroundings_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  asio::ip::tcp::socket client_;
  asio::ip::tcp::socket relay_;
  std::string client_name_;
  std::optional<std::size_t> connected_to_;
  SessionOutcome outcome_ = SessionOutcome::open;
  std::string last_failure_;  ///< of connecting, for the client and the log
  std::uint64_t to_relay_ = 0;
  std::uint64_t to_client_ = 0;
};

}  // namespace pgtandem
