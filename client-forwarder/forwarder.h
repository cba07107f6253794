/// The forwarder as a whole: ports, watches of the relays, sessions, memory. One thread runs everything.
#pragma once
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>

#include "client-forwarder/change-signal.h"
#include "client-forwarder/follower.h"
#include "client-forwarder/memory-file.h"
#include "client-forwarder/session.h"
#include "common/config/settings.h"

namespace pgtandem {

class Forwarder {
 public:
  explicit Forwarder(ForwarderSettings settings);
  ~Forwarder();
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;

  /// Checks that the memory can be kept. A damaged state file is a warning, not an error.
  Result<void> load_memory();
  /// Opens the ports; the error names the address.
  Result<void> open_ports();
  /// Runs until stop(); false if an unforeseen error ended it.
  bool run();
  /// Ends every session and lets run() return. From any thread.
  void stop();

  asio::io_context& context() { return context_; }
  /// How it is, on one line.
  std::string status_line() const;
  /// Called after each change of what status_line() says about relays.
  void on_change(std::function<void()> changed) { changed_ = std::move(changed); }
  /// Takes over of `fresh` what may change while running (setting-table.h).
  void take_over(const ForwarderSettings& fresh) { settings_.connect_wait = fresh.connect_wait; }
  /// Where it listens, with the real port where the settings say 0. After open_ports().
  std::vector<Endpoint> ports() const;

 private:
  struct Relay {
    std::optional<bool> reachable;  ///< as last logged
    bool carrying = false;
    bool awaited = false;                                 ///< its word on its sessions: await_word() runs
    std::chrono::steady_clock::time_point carry_again{};  ///< not before, after a record was refused
    Epoch carried = 0;                                    ///< the epoch last logged as carried
  };

  Result<void> listen_on(const Endpoint& endpoint);
  asio::awaitable<void> accept_on(asio::ip::tcp::acceptor& acceptor);
  void fail(const std::exception_ptr& failure);
  void begin_session(asio::ip::tcp::socket client);
  void watch(std::size_t relay);
  void log_reachable(std::size_t relay, bool reachable, const std::string& text);
  void follow(std::size_t relay, const Decision& decision);
  void log_target() const;
  void end_sessions(std::size_t relay);
  void await_word(std::size_t relay);
  void carry(std::size_t relay);
  asio::awaitable<void> carry_record(std::size_t relay, FollowerMemory record);
  Endpoint control_port(std::size_t relay) const;

  ForwarderSettings settings_;
  const MemoryFile memory_file_;
  std::vector<Relay> relays_;
  Follower follower_;
  ChangeSignal target_changed_;
  std::function<void()> changed_ = [] {};
  bool failed_ = false;
  std::unordered_set<std::shared_ptr<Session>> sessions_;
  // Behind everything that coroutines refer to, in front of what belongs to it: its destructor destroys them.
  asio::io_context context_{1};
  std::list<asio::ip::tcp::acceptor> acceptors_;
};

}  // namespace pgtandem
