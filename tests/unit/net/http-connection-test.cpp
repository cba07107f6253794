#include "common/net/http-connection.h"

#include <atomic>
#include <optional>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "tests/unit/net/scripted-server.h"

using namespace pgtandem;
using namespace pgtandem::test;
using namespace std::chrono_literals;

namespace {

constexpr auto kLimit = 10000ms;

const std::string kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Requests on one connection object, one after the other.
struct Client {
  explicit Client(const ScriptedServer& server) : connection(server.endpoint(), nullptr) {}

  Result<HttpResponse> get(std::chrono::milliseconds limit = kLimit) {
    std::optional<Result<HttpResponse>> result;
    context.restart();
    asio::co_spawn(
        context,
        [](HttpConnection& to, std::chrono::milliseconds within,
           std::optional<Result<HttpResponse>>& out) -> asio::awaitable<void> {
          HttpRequest request;
          out.emplace(co_await to.request(std::move(request), within, 1000));
        }(connection, limit, result),
        [](const std::exception_ptr& thrown) {
          if (thrown) std::rethrow_exception(thrown);
        });
    context.run();
    REQUIRE(result);
    return std::move(*result);
  }

  asio::io_context context;
  HttpConnection connection;
};

/// Answers so many requests on each connection, then closes it.
struct CountingServer {
  explicit CountingServer(int answers, std::string answer = kAnswer)
      : server([this, answers, answer](Visitor& visitor) -> asio::awaitable<void> {
          ++connections;
          for (int i = 0; i < answers; ++i) {
            const bool asked = co_await next_request(visitor);
            if (!asked) co_return;
            co_await visitor.send(answer);
          }
        }) {}

  static asio::awaitable<bool> next_request(Visitor& visitor) {
    std::string header;
    asio::error_code code;
    co_await asio::async_read_until(visitor.socket(), asio::dynamic_buffer(header), "\r\n\r\n",
                                    asio::redirect_error(asio::use_awaitable, code));
    co_return !code;
  }

  std::atomic<int> connections{0};
  ScriptedServer server;
};

}  // namespace

TEST_CASE("a connection is kept for the next request") {
  CountingServer counting(100);
  Client client(counting.server);
  for (int i = 0; i < 5; ++i) {
    const auto response = client.get();
    REQUIRE(response);
    CHECK(response->body == "ok");
  }
  CHECK(counting.connections == 1);
}

TEST_CASE("a connection that the server has closed meanwhile costs no request") {
  CountingServer counting(1);
  Client client(counting.server);
  for (int i = 0; i < 3; ++i) {
    const auto response = client.get();
    INFO((response ? "" : response.error()));
    REQUIRE(response);
  }
  CHECK(counting.connections == 3);
}

TEST_CASE("a server that asks for it is not kept") {
  CountingServer counting(100, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
  Client client(counting.server);
  REQUIRE(client.get());
  REQUIRE(client.get());
  CHECK(counting.connections == 2);
}

TEST_CASE("an answer that comes late is not taken for the next one") {
  std::atomic<int> connections{0};
  ScriptedServer server([&connections](Visitor& visitor) -> asio::awaitable<void> {
    const int number = ++connections;
    if (number == 1) {
      co_await visitor.until_closed();  // says nothing
      co_return;
    }
    co_await visitor.read_header();
    co_await visitor.send(kAnswer);
  });
  Client client(server);
  const auto late = client.get(100ms);
  REQUIRE_FALSE(late);
  CHECK(late.error().find("no answer within 100 ms") != std::string::npos);
  CHECK(client.get());
  CHECK(connections == 2);
}

TEST_CASE("a new connection that is closed without an answer is an error, and is not tried again") {
  std::atomic<int> connections{0};
  ScriptedServer server([&connections](Visitor& visitor) -> asio::awaitable<void> {
    ++connections;
    co_await visitor.read_header();
  });
  Client client(server);
  CHECK_FALSE(client.get());
  CHECK(connections == 1);
}
