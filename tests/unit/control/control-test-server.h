/// A control server on a thread of its own with handlers that tests look into, and a blocking client.
#pragma once
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <asio.hpp>
#include <nlohmann/json.hpp>

#include "server-relay/control/control-server.h"

namespace pgtandem::control_test {

using asio::ip::tcp;

inline constexpr auto kToken = "correct horse battery staple";

/// A control server on a thread of its own, with handlers that tests look into.
class Server {
 public:
  explicit Server(std::string token = kToken, std::size_t status_padding = 0)
      : control_(context_, {{"127.0.0.1", 0}}, std::move(token), handlers(status_padding)) {
    on_thread([&] {
      const Result<void> started = control_.start();
      if (!started) throw std::runtime_error(started.error());
      port_ = control_.listening().at(0).port;
    });
  }
  ~Server() {
    on_thread([&] {
      control_.stop();
      kept_.clear();
    });
    work_.reset();
    context_.stop();
    thread_.join();
  }

  std::uint16_t port() const { return port_; }
  void publish() {
    on_thread([&] {
      ++version_;
      control_.publish();
    });
  }
  void publish_many(unsigned times) {
    on_thread([&] {
      for (unsigned i = 0; i < times; ++i) {
        ++version_;
        control_.publish();
      }
    });
  }
  void stop_control() {
    on_thread([&] { control_.stop(); });
  }
  void answer_kept() {
    on_thread([&] {
      for (const auto& responder : kept_) responder({200, "{\"ok\":true,\"late\":true}"});
      kept_.clear();
    });
  }
  std::size_t kept() {
    std::size_t size = 0;
    on_thread([&] { size = kept_.size(); });
    return size;
  }

 private:
  template <typename Function>
  void on_thread(Function function) {
    // asio takes a packaged_task as a completion token and gives its future.
    std::future<void> done = asio::post(context_, std::packaged_task<void()>(std::move(function)));
    done.get();
  }

  ControlHandlers handlers(std::size_t padding) {
    ControlHandlers h;
    h.status_json = [this, padding] {
      return nlohmann::json{{"version", version_}, {"padding", std::string(padding, 'x')}}.dump();
    };
    h.metrics_text = [] { return std::string("# TYPE x gauge\nx 1\n"); };
    h.role = [] { return RoleAnswer::master; };
    h.command = [this](const ControlRequest& request, ControlResponder respond) {
      if (request.path == "/v1/drop") return;
      if (request.path == "/v1/throw") throw std::runtime_error("the handler failed");
      if (request.path == "/v1/keep") return kept_.push_back(respond);
      respond({200, nlohmann::json{{"path", request.path}, {"body", request.body}, {"client", request.client}}
                        .dump()});
      respond({500, "a second answer counts for nothing"});
    };
    h.peer = [](const ControlRequest& request, ControlResponder respond) {
      ControlReply reply{200, request.method + " " + request.nonce + " " + request.mac};
      reply.headers.emplace_back("X-Pgtandem-Mac", "abc");
      respond(reply);
    };
    h.record = [](const ControlRequest& request, ControlResponder respond) { respond({200, request.body}); };
    return h;
  }

  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
  unsigned version_ = 1;
  std::vector<ControlResponder> kept_;
  ControlServer control_;
  std::uint16_t port_ = 0;
  std::thread thread_{[this] { context_.run(); }};
};

/// A client whose every read fails after ten seconds instead of hanging the test.
class Client {
 public:
  explicit Client(std::uint16_t port) : socket_(context_) {
    socket_.connect(tcp::endpoint(asio::ip::address_v4::loopback(), port));
    const timeval limit{10, 0};
    ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  void send(const std::string& text) {
    asio::error_code ignored;  // a server that closed shows in what is read
    asio::write(socket_, asio::buffer(text), ignored);
  }
  void end_sending() {
    asio::error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
  }
  /// Everything until the server closes.
  std::string read_all() {
    while (read_some()) {
    }
    return received_;
  }
  std::string read_until(const std::string& end) {
    while (received_.find(end) == std::string::npos) {
      if (!read_some()) throw std::runtime_error("closed before '" + end + "': " + received_);
    }
    return received_;
  }
  const std::string& received() const { return received_; }
  void forget() { received_.clear(); }
  tcp::socket& socket() { return socket_; }

 private:
  /// False at the end of the stream; throws where nothing came in time.
  bool read_some() {
    char buffer[16384];
    const ssize_t size = ::recv(socket_.native_handle(), buffer, sizeof buffer, 0);
    if (size > 0) received_.append(buffer, std::size_t(size));
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
      throw std::runtime_error("nothing came in time");
    return size > 0;
  }

  asio::io_context context_;
  tcp::socket socket_;
  std::string received_;
};

inline std::string ask(std::uint16_t port, const std::string& method, const std::string& path,
                       const std::string& headers = {}, const std::string& body = {}) {
  Client client(port);
  client.send(method + " " + path + " HTTP/1.1\r\nHost: x\r\n" + headers +
              (method == "POST" ? "Content-Length: " + std::to_string(body.size()) + "\r\n" : "") + "\r\n" +
              body);
  return client.read_all();
}

inline std::string bearer(const std::string& token) {
  return "Authorization: Bearer " + token + "\r\n";
}
inline unsigned status_of(const std::string& response) {
  return response.starts_with("HTTP/1.1 ") ? unsigned(std::stoul(response.substr(9))) : 0;
}
inline std::string body_of(const std::string& response) {
  return response.substr(response.find("\r\n\r\n") + 4);
}
inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}
inline std::string watch_request() {
  return "GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n";
}
inline std::string version_event(unsigned version) {
  return "\"version\":" + std::to_string(version) + "}\n\n";
}

}  // namespace pgtandem::control_test
