/// A TCP server of the test's own, on a thread of its own: each connection runs the script.
#pragma once
#include <exception>
#include <functional>
#include <string>
#include <thread>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read_until.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>

#include "common/net/endpoint.h"

namespace pgtandem::test {

/// One connection, as the script sees it.
class Visitor {
 public:
  explicit Visitor(asio::ip::tcp::socket socket) : socket_(std::move(socket)) {}

  /// Reads until the end of a request's header; what was read so far if the client closes.
  asio::awaitable<std::string> read_header() {
    asio::error_code code;
    co_await asio::async_read_until(socket_, asio::dynamic_buffer(read_), "\r\n\r\n",
                                    asio::redirect_error(asio::use_awaitable, code));
    co_return read_;
  }
  asio::awaitable<void> send(std::string text) {
    asio::error_code code;
    co_await asio::async_write(socket_, asio::buffer(text), asio::redirect_error(asio::use_awaitable, code));
  }
  /// Waits until the client has closed the connection, or broken it.
  asio::awaitable<void> until_closed() {
    asio::error_code code;
    char buffer[256];
    while (!code) {
      co_await socket_.async_read_some(asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, code));
    }
  }
  asio::ip::tcp::socket& socket() { return socket_; }

 private:
  asio::ip::tcp::socket socket_;
  std::string read_;
};

class ScriptedServer {
 public:
  using Script = std::function<asio::awaitable<void>(Visitor&)>;

  explicit ScriptedServer(Script script)
      : script_(std::move(script)),
        acceptor_(context_, asio::ip::tcp::endpoint(asio::ip::make_address("127.0.0.1"), 0)) {
    const auto rethrow = [](const std::exception_ptr& failure) {
      if (failure) std::rethrow_exception(failure);
    };
    asio::co_spawn(context_, accept(), rethrow);
    thread_ = std::thread([this] { context_.run(); });
  }
  ~ScriptedServer() {
    context_.stop();
    thread_.join();
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  Endpoint endpoint() const { return {"127.0.0.1", acceptor_.local_endpoint().port()}; }

 private:
  asio::awaitable<void> accept() {
    for (;;) {
      Visitor visitor(co_await acceptor_.async_accept(asio::use_awaitable));
      asio::co_spawn(context_, serve(std::move(visitor)), [](const std::exception_ptr&) {});
    }
  }
  asio::awaitable<void> serve(Visitor visitor) { co_await script_(visitor); }

  Script script_;
  asio::io_context context_;
  asio::ip::tcp::acceptor acceptor_;
  std::thread thread_;
};

}  // namespace pgtandem::test
