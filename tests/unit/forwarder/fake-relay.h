/// A relay of the test's own: a control port that shows the status it was given, and a frontend port that
/// greets with the relay's name and echoes. For what real relays cannot be made to do; those are in
/// tests/integration.
#pragma once
#include <array>
#include <condition_variable>
#include <functional>
#include <future>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <asio/read_until.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>

#include "common/config/settings.h"

namespace pgtandem::test {

class FakeRelay {
 public:
  using tcp = asio::ip::tcp;

  explicit FakeRelay(std::string greeting) : greeting_(std::move(greeting)) {
    open(frontends_, 0);
    open(control_, 0);
    frontend_port_ = frontends_->local_endpoint().port();
    control_port_ = control_->local_endpoint().port();
    asio::post(context_, [this] {
      accept(*frontends_, [this](std::shared_ptr<tcp::socket> s) { return serve_frontend(std::move(s)); });
      accept(*control_, [this](std::shared_ptr<tcp::socket> s) { return serve_control(std::move(s)); });
    });
    thread_ = std::thread([this] { context_.run(); });
  }
  ~FakeRelay() {
    context_.stop();
    thread_.join();
  }
  FakeRelay(const FakeRelay&) = delete;
  FakeRelay& operator=(const FakeRelay&) = delete;

  RelayAddress address() const { return {"127.0.0.1", frontend_port_, control_port_}; }

  /// From now on the control port shows this, to who watches at once.
  void show(const std::string& status) {
    on_thread([&] {
      status_ = status;
      for (asio::steady_timer* watcher : watchers_) watcher->cancel();
    });
  }
  /// No /v1/watch any more: only polling works.
  void refuse_watching() {
    on_thread([&] { watching_ = false; });
  }
  /// The control port is closed and its connections are cut.
  void hide_control_port() {
    on_thread([&] { close(control_, control_sockets_); });
  }
  void show_control_port() {
    on_thread([&] {
      open(control_, control_port_);
      accept(*control_, [this](std::shared_ptr<tcp::socket> s) { return serve_control(std::move(s)); });
    });
  }
  void close_frontend_port() {
    on_thread([&] { close(frontends_, frontend_sockets_); });
  }
  void open_frontend_port() {
    on_thread([&] {
      open(frontends_, frontend_port_);
      accept(*frontends_, [this](std::shared_ptr<tcp::socket> s) { return serve_frontend(std::move(s)); });
    });
  }
  /// Waits until a record was posted, and gives its body.
  std::string wait_for_record() {
    std::unique_lock lock(mutex_);
    const bool came = changed_.wait_for(lock, std::chrono::seconds(20), [&] { return !records_.empty(); });
    return came ? records_.back() : "no record came";
  }
  /// How often the status was asked for or sent, to wait for "it has been seen again".
  std::size_t statuses_sent() {
    const std::lock_guard lock(mutex_);
    return statuses_sent_;
  }
  void wait_for_more_statuses(std::size_t than) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(20), [&] { return statuses_sent_ > than; });
  }

 private:
  using Sockets = std::set<std::shared_ptr<tcp::socket>>;

  template <typename F>
  void on_thread(F f) {
    std::promise<void> done;
    asio::post(context_, [&] {
      f();
      done.set_value();
    });
    done.get_future().wait();
  }
  void open(std::optional<tcp::acceptor>& acceptor, std::uint16_t port) {
    acceptor.emplace(context_, tcp::endpoint(asio::ip::make_address("127.0.0.1"), port));
  }
  void close(std::optional<tcp::acceptor>& acceptor, Sockets& sockets) {
    asio::error_code ignored;
    acceptor->close(ignored);
    for (const auto& socket : sockets) socket->close(ignored);
    sockets.clear();
  }
  template <typename Serve>
  void accept(tcp::acceptor& acceptor, Serve serve) {
    auto socket = std::make_shared<tcp::socket>(context_);
    acceptor.async_accept(*socket, [this, &acceptor, socket, serve](asio::error_code code) {
      if (code) return;
      asio::co_spawn(context_, serve(socket), [](const std::exception_ptr&) {});
      accept(acceptor, serve);
    });
  }

  /// Greets, echoes, and at the client's end answers "bye" before its own: half-close must come through.
  asio::awaitable<void> serve_frontend(std::shared_ptr<tcp::socket> socket) {
    frontend_sockets_.insert(socket);
    asio::error_code code;
    co_await asio::async_write(*socket, asio::buffer(greeting_),
                               asio::redirect_error(asio::use_awaitable, code));
    std::vector<char> buffer(16U << 10);
    while (!code) {
      const std::size_t n = co_await socket->async_read_some(asio::buffer(buffer),
                                                             asio::redirect_error(asio::use_awaitable, code));
      if (code == asio::error::eof) {
        co_await asio::async_write(*socket, asio::buffer("bye", 3),
                                   asio::redirect_error(asio::use_awaitable, code));
        break;
      }
      if (!code) {
        co_await asio::async_write(*socket, asio::buffer(buffer.data(), n),
                                   asio::redirect_error(asio::use_awaitable, code));
      }
    }
    socket->close(code);
    frontend_sockets_.erase(socket);
  }

  void count_status() {
    const std::lock_guard lock(mutex_);
    ++statuses_sent_;
    changed_.notify_all();
  }

  asio::awaitable<void> serve_control(std::shared_ptr<tcp::socket> socket) {
    control_sockets_.insert(socket);
    std::string request;
    asio::error_code code;
    const std::size_t header = co_await asio::async_read_until(
        *socket, asio::dynamic_buffer(request), "\r\n\r\n", asio::redirect_error(asio::use_awaitable, code));
    std::string answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    if (request.starts_with("GET /v1/watch ") && watching_) {
      co_await stream(*socket);
      co_return;
    }
    if (request.starts_with("GET /v1/status ")) {
      answer = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(status_.size()) + "\r\n\r\n" + status_;
      count_status();
    } else if (request.starts_with("POST /v1/record ")) {
      while (!code && !request.ends_with("}")) {
        std::array<char, 1024> more;
        const std::size_t n = co_await socket->async_read_some(
            asio::buffer(more), asio::redirect_error(asio::use_awaitable, code));
        request.append(more.data(), n);
      }
      const std::lock_guard lock(mutex_);
      records_.push_back(request.substr(header));
      changed_.notify_all();
      answer = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"ok\":true}";
    }
    co_await asio::async_write(*socket, asio::buffer(answer),
                               asio::redirect_error(asio::use_awaitable, code));
    socket->close(code);
  }

  asio::awaitable<void> stream(tcp::socket& socket) {
    asio::error_code code;
    const std::string header = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    co_await asio::async_write(socket, asio::buffer(header), asio::redirect_error(asio::use_awaitable, code));
    while (!code && watching_) {
      const std::string event = "data: " + status_ + "\n\n";
      co_await asio::async_write(socket, asio::buffer(event),
                                 asio::redirect_error(asio::use_awaitable, code));
      count_status();
      asio::steady_timer timer(context_, std::chrono::milliseconds(200));
      watchers_.insert(&timer);
      asio::error_code ignored;
      co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      watchers_.erase(&timer);
    }
    socket.close(code);
  }

  const std::string greeting_;
  std::string status_ = "{}";
  bool watching_ = true;
  std::set<asio::steady_timer*> watchers_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> records_;
  std::size_t statuses_sent_ = 0;
  asio::io_context context_;
  std::optional<tcp::acceptor> frontends_;
  std::optional<tcp::acceptor> control_;
  Sockets frontend_sockets_, control_sockets_;
  std::uint16_t frontend_port_ = 0;
  std::uint16_t control_port_ = 0;
  std::thread thread_;
};

/// An application: a blocking socket that gives up after 20 s, so that a failing test ends.
class Application {
 public:
  explicit Application(const Endpoint& server) : socket_(context_) {
    socket_.connect({asio::ip::make_address(server.host), server.port});
    timeval limit{20, 0};
    ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  void send(const std::string& text) {
    asio::error_code ignored;  // a connection that has ended shows when it is read
    asio::write(socket_, asio::buffer(text), ignored);
  }
  /// Exactly so many bytes; fewer if the connection ends or nothing comes for 20 s.
  std::string read(std::size_t size) {
    std::string text(size, '\0');
    std::size_t have = 0;
    while (have < size) {
      const ssize_t n = ::recv(socket_.native_handle(), text.data() + have, size - have, 0);
      if (n <= 0) break;
      have += std::size_t(n);
    }
    text.resize(have);
    return text;
  }
  /// Everything up to the end; "(timeout)" is added if there was no end.
  std::string read_to_end() {
    std::string text;
    char buffer[4096];
    for (;;) {
      const ssize_t n = ::recv(socket_.native_handle(), buffer, sizeof buffer, 0);
      if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return text + "(timeout)";
      if (n <= 0) return text;
      text.append(buffer, std::size_t(n));
    }
  }
  void end_sending() { socket_.shutdown(asio::ip::tcp::socket::shutdown_send); }

 private:
  asio::io_context context_;
  asio::ip::tcp::socket socket_;
};

}  // namespace pgtandem::test
