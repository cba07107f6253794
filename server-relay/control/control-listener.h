/// One listening address of the control port on RESTinio, and how long, how large and how many what comes
/// there may be. Includes RESTinio, which compiles slowly: for control-server.cpp alone.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include <asio/bind_executor.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <restinio/http_server.hpp>
#include <restinio/message_builders.hpp>
#include <restinio/settings.hpp>
#include <restinio/traits.hpp>

#include "common/base/log.h"
#include "common/net/listen-options.h"
#include "common/net/socket-poll.h"
#include "server-relay/control/burst-limit.h"
#include "server-relay/control/control-server.h"

namespace pgtandem::control_http {

/// From accept to the end of the request; a client that dribbles or says nothing is closed then.
constexpr std::chrono::seconds kReadLimit{10};
/// For one write; a watcher or client that does not read is closed then.
constexpr std::chrono::seconds kWriteLimit{5};
/// For a command to be answered: far above the slowest (a takeover, or the join at a bootstrap's end).
constexpr std::chrono::minutes kHandleLimit{5};
constexpr std::chrono::milliseconds kTimerCheck{500};
constexpr std::size_t kReadBuffer = 4096;
/// Everything one connection may send: one request with the largest body, its headers and some chunk framing.
/// It also bounds what RESTinio notes for each chunk of a body that comes in single bytes.
constexpr std::size_t kMaxReceived = kMaxControlBody + (64U << 10);

inline restinio::incoming_http_msg_limits_t message_limits() {
  return restinio::incoming_http_msg_limits_t{}
      .max_url_size(2048)
      .max_field_name_size(128)
      .max_field_value_size(4096)
      .max_field_count(64)
      .max_body_size(kMaxControlBody);
}

/// What is open now, over all listeners, and what goes wrong there, one line a second. Control thread only.
struct Connections {
  using Key = std::pair<unsigned, restinio::connection_id_t>;  ///< listener, connection
  std::map<Key, std::string> clients;                          ///< who is connected
  BurstLimit log_limit;

  void complain(const std::string& client, const std::string& why) {
    const auto kept_back = log_limit.pass(BurstLimit::Clock::now());
    if (!kept_back) return;
    log::warning("control-refused", {{"client", client}, {"why", why}});
    if (*kept_back > 0) log::warning("control-refused", {{"more_of_these", *kept_back}});
  }
  void tick() {
    if (const std::uint64_t more = log_limit.flush(BurstLimit::Clock::now())) {
      log::warning("control-refused", {{"more_of_these", more}});
    }
  }
};

/// RESTinio's own messages: errors of connections are told under the limit, everything else is left out.
class Logger {
 public:
  Logger(std::shared_ptr<Connections> connections, unsigned listener)
      : connections_(std::move(connections)), listener_(listener) {}

  template <typename Builder>
  void trace(Builder&&) const noexcept {}
  template <typename Builder>
  void info(Builder&&) const noexcept {}
  template <typename Builder>
  void warn(Builder&&) const noexcept {}
  template <typename Builder>
  void error(Builder&& builder) const {
    tell(builder());
  }

 private:
  /// "[connection:7] parser error HPE_INVALID_METHOD: ..."
  void tell(const std::string& message) const {
    constexpr std::string_view kPrefix = "[connection:";
    const std::size_t end = message.find("] ");
    if (!message.starts_with(kPrefix) || end == std::string::npos) {
      if (!message.starts_with("failed to start"))
        connections_->complain("", message);  // that one is thrown too
      return;
    }
    const std::string what = message.substr(end + 2);
    if (what.starts_with("unable to write")) return;  // a watcher that left
    const auto id = std::strtoull(message.c_str() + kPrefix.size(), nullptr, 10);
    const auto found = connections_->clients.find({listener_, id});
    connections_->complain(found == connections_->clients.end() ? "" : found->second, what);
  }

  std::shared_ptr<Connections> connections_;
  unsigned listener_;
};

/// A TCP socket that fails reading after kMaxReceived bytes: each connection serves one request.
class BoundedSocket : public asio::ip::tcp::socket {
 public:
  using asio::ip::tcp::socket::socket;

  template <typename Buffers, typename Handler>
  void async_read_some(const Buffers& buffers, Handler handler) {
    const auto executor = asio::get_associated_executor(handler, get_executor());
    if (received_ >= kMaxReceived) {
      asio::post(executor,
                 [h = std::move(handler)]() mutable { h(asio::error_code(asio::error::message_size), 0); });
      return;
    }
    asio::ip::tcp::socket::async_read_some(
        buffers, asio::bind_executor(executor, [this, h = std::move(handler)](const asio::error_code& error,
                                                                              std::size_t size) mutable {
          received_ += size;  // the handler keeps the connection, and so this socket
          h(error, size);
        }));
  }

 private:
  std::size_t received_ = 0;
};

/// Refuses connections above the limit, and counts those that it let in.
class Gatekeeper {
 public:
  explicit Gatekeeper(std::shared_ptr<Connections> connections) : connections_(std::move(connections)) {}

  restinio::ip_blocker::inspection_result_t inspect(
      const restinio::ip_blocker::incoming_info_t& who) noexcept {
    ++seen_;
    if (connections_->clients.size() < kMaxControlConnections) return restinio::ip_blocker::allow();
    connections_->complain(who.remote_endpoint().address().to_string(), "too many connections");
    return restinio::ip_blocker::deny();
  }
  std::uint64_t seen() const { return seen_; }

 private:
  std::shared_ptr<Connections> connections_;
  std::uint64_t seen_ = 0;
};

class StateListener {
 public:
  StateListener(std::shared_ptr<Connections> connections, unsigned listener)
      : connections_(std::move(connections)), listener_(listener) {}

  void state_changed(const restinio::connection_state::notice_t& notice) {
    const Connections::Key key{listener_, notice.connection_id()};
    if (restinio::holds_alternative<restinio::connection_state::accepted_t>(notice.cause())) {
      connections_->clients[key] = notice.remote_endpoint().address().to_string();
    } else {
      connections_->clients.erase(key);
    }
  }

 private:
  std::shared_ptr<Connections> connections_;
  unsigned listener_;
};

struct Traits : restinio::single_thread_traits_t<restinio::asio_timer_manager_t, Logger,
                                                 restinio::default_request_handler_t> {
  using stream_socket_t = BoundedSocket;
  using ip_blocker_t = Gatekeeper;
  using connection_state_listener_t = StateListener;
};

using RequestHandler = std::function<restinio::request_handling_status_t(restinio::request_handle_t)>;

/// Opens on construction and throws std::exception where that fails; closes on destruction.
class Listener {
 public:
  Listener(asio::io_context& context, asio::ip::tcp::endpoint address, unsigned number,
           const std::shared_ptr<Connections>& connections, RequestHandler handler)
      : number_(number), gatekeeper_(std::make_shared<Gatekeeper>(connections)) {
    const auto configure = [&](restinio::server_settings_t<Traits>& settings) {
      settings.protocol(address.protocol())
          .address(address.address())
          .port(address.port())
          .request_handler(std::move(handler))
          .logger(connections, number)
          .timer_manager(kTimerCheck)
          .buffer_size(kReadBuffer)
          .read_next_http_message_timelimit(kReadLimit)
          .write_http_response_timelimit(kWriteLimit)
          .handle_request_timeout(kHandleLimit)
          .incoming_http_msg_limits(message_limits())
          .ip_blocker(gatekeeper_)
          .connection_state_listener(std::make_shared<StateListener>(connections, number))
          .socket_options_setter([](restinio::socket_options_t& options) {
            options.set_option(
                asio::ip::tcp::no_delay(true));  // an event must not wait for an acknowledgement
          })
          .acceptor_options_setter([v6 = address.address().is_v6()](restinio::acceptor_options_t& options) {
            options.set_option(asio::ip::tcp::acceptor::reuse_address(kReuseAddress));
            if (v6) options.set_option(asio::ip::v6_only(true));  // 0.0.0.0 may be listed beside it
          })
          .acceptor_post_bind_hook([this](asio::ip::tcp::acceptor& acceptor) {
            descriptor_ = acceptor.native_handle();
            address_ = acceptor.local_endpoint();
          });
    };
    server_ =
        std::make_unique<restinio::http_server_t<Traits>>(restinio::external_io_context(context), configure);
    server_->open_sync();
  }

  const asio::ip::tcp::endpoint& address() const { return address_; }
  unsigned number() const { return number_; }

  /// RESTinio stops accepting for good after a failed accept (no file descriptor left). Called once a second:
  /// true if somebody has been waiting since the last call and nobody was let in.
  bool stuck() {
    const bool somebody = readable_now(descriptor_);
    const bool still = somebody && somebody_waited_ && gatekeeper_->seen() == seen_before_;
    somebody_waited_ = somebody;
    seen_before_ = gatekeeper_->seen();
    return still;
  }

 private:
  unsigned number_;
  std::shared_ptr<Gatekeeper> gatekeeper_;
  std::unique_ptr<restinio::http_server_t<Traits>> server_;
  asio::ip::tcp::endpoint address_;
  SocketHandle descriptor_{};
  bool somebody_waited_ = false;
  std::uint64_t seen_before_ = 0;
};

}  // namespace pgtandem::control_http
