#include "common/net/http-client.h"

#include <future>
#include <optional>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/steady_timer.hpp>
#include <catch2/catch.hpp>

#include "common/net/connect.h"
#include "tests/unit/net/scripted-server.h"

using namespace pgtandem;
using namespace pgtandem::test;
using namespace std::chrono_literals;

namespace {

/// Longer than anything here takes; where a test waits for a limit it gives a short one of its own.
constexpr auto kPlenty = 20s;
constexpr auto kShort = 150ms;

/// Runs the coroutine and everything it left behind: that this comes back shows that nothing stays.
template <typename T>
T run(asio::awaitable<T> coroutine) {
  asio::io_context context;
  std::optional<T> result;
  std::exception_ptr failure;
  const auto keep = [&]() -> asio::awaitable<void> { result.emplace(co_await std::move(coroutine)); };
  asio::co_spawn(context, keep, [&](std::exception_ptr e) { failure = std::move(e); });
  context.run();
  if (failure) std::rethrow_exception(failure);
  return std::move(*result);
}

ScriptedServer::Script answer_with(std::string text) {
  return [text](Visitor& visitor) -> asio::awaitable<void> {
    co_await visitor.read_header();
    co_await visitor.send(text);
  };
}

std::string error_text(const Result<HttpResponse>& result) {
  return result.ok() ? "" : result.error();
}
std::string error_text(const Result<void>& result) {
  return result.ok() ? "" : result.error();
}
bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

const std::string kStreamHeader = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

}  // namespace

TEST_CASE("a request is sent whole and its response read") {
  std::promise<std::string> seen;
  const ScriptedServer server([&](Visitor& visitor) -> asio::awaitable<void> {
    std::string request = co_await visitor.read_header();
    while (!request.ends_with("{\"x\":1}")) request = co_await visitor.read_header();
    seen.set_value(request);
    co_await visitor.send("HTTP/1.1 409 Conflict\r\nContent-Length: 4\r\nX-Mac: aB\r\n\r\nbusy");
  });
  HttpRequest request{"POST", "/v1/fence", {{"Authorization", "Bearer t"}}, "{\"x\":1}"};
  const auto response = run(http_request(server.endpoint(), request, kPlenty));
  INFO(error_text(response));
  REQUIRE(response.ok());
  CHECK(response->status == 409);
  CHECK(response->body == "busy");
  CHECK(response->headers[1] == std::pair<std::string, std::string>("x-mac", "aB"));
  const std::string sent = seen.get_future().get();
  CHECK(sent.starts_with("POST /v1/fence HTTP/1.1\r\nHost: 127.0.0.1:"));
  CHECK(has(sent, "Authorization: Bearer t\r\n"));
  CHECK(has(sent, "Content-Length: 7\r\n"));
}

TEST_CASE("a response ends with its length even if the server keeps the connection") {
  const ScriptedServer server([](Visitor& visitor) -> asio::awaitable<void> {
    co_await visitor.read_header();
    co_await visitor.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more");
    co_await visitor.until_closed();
  });
  const auto response = run(http_request(server.endpoint(), {}, kPlenty));
  REQUIRE(response.ok());
  CHECK(response->body == "ok");
}

TEST_CASE("a server that never answers costs the time limit and nothing more") {
  const ScriptedServer server(
      [](Visitor& visitor) -> asio::awaitable<void> { co_await visitor.until_closed(); });
  const auto start = std::chrono::steady_clock::now();
  const auto response = run(http_request(server.endpoint(), {}, kShort));
  CHECK(has(error_text(response), "no answer within 150 ms"));
  CHECK(std::chrono::steady_clock::now() - start < 10s);
}

TEST_CASE("a server that sends a byte at a time cannot stretch the time limit") {
  const ScriptedServer server([](Visitor& visitor) -> asio::awaitable<void> {
    co_await visitor.send("HTTP/1.1 200 OK\r\n");
    asio::steady_timer timer(visitor.socket().get_executor());
    for (asio::error_code code; !code;) {
      timer.expires_after(5ms);
      co_await timer.async_wait(asio::use_awaitable);
      co_await asio::async_write(visitor.socket(), asio::buffer("a", 1),
                                 asio::redirect_error(asio::use_awaitable, code));
    }
  });
  CHECK(has(error_text(run(http_request(server.endpoint(), {}, kShort))), "no answer within 150 ms"));
}

TEST_CASE("garbage, truncation, a huge header and a huge body are errors that name the server") {
  const auto error_of = [](const std::string& answer, std::size_t max_body = 1000) {
    const ScriptedServer server(answer_with(answer));
    const std::string error = error_text(run(http_request(server.endpoint(), {}, kPlenty, max_body)));
    CHECK(has(error, "http://" + to_string(server.endpoint()) + "/: "));
    return error;
  };
  CHECK(has(error_of("\x16\x03\x01 this is TLS"), "no HTTP"));
  CHECK(
      has(error_of("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), "closed in the middle of the body"));
  CHECK(has(error_of("HTTP/1.1 200 OK\r\nConten"), "closed before the end of the header"));
  CHECK(has(error_of(""), "closed before the end of the header"));
  CHECK(has(error_of("HTTP/1.1 200 OK\r\nA: " + std::string(1U << 20, 'a')), "header is larger"));
  CHECK(has(error_of("HTTP/1.1 200 OK\r\n\r\n" + std::string(2000, 'a')), "larger than the allowed 1000"));
}

TEST_CASE("a port where nobody listens and a name that does not exist are errors at once") {
  asio::io_context context;
  asio::ip::tcp::acceptor closed(context, {asio::ip::make_address("127.0.0.1"), 0});
  const Endpoint nobody{"127.0.0.1", closed.local_endpoint().port()};
  closed.close();
  CHECK(has(error_text(run(http_request(nobody, {}, kPlenty))), "cannot connect to " + to_string(nobody)));
  CHECK(has(error_text(run(http_request({"no-such-host.invalid", 1}, {}, kPlenty))), "the name"));
}

TEST_CASE("a name with several addresses is tried until one answers") {
  const ScriptedServer server(answer_with("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  // "localhost" may be ::1 first, where nobody listens.
  CHECK(run(http_request({"localhost", server.endpoint().port}, {}, kPlenty)).ok());
}

TEST_CASE("a path or header that would smuggle a line into the request is refused before anything is sent") {
  CHECK(has(error_text(run(http_request({"127.0.0.1", 1}, {"GET", "/\r\nX: y", {}, ""}, kPlenty))),
            "not allowed"));
  CHECK(has(error_text(run(http_request({"127.0.0.1", 1}, {"GET", "/", {{"A", "b\nc: d"}}, ""}, kPlenty))),
            "not allowed"));
  CHECK(has(error_text(run(http_request({"127.0.0.1", 1}, {"GET", "nothing", {}, ""}, kPlenty))),
            "not allowed"));
}

TEST_CASE("a refusal that comes before a large body was read is still heard") {
  const ScriptedServer server([](Visitor& visitor) -> asio::awaitable<void> {
    co_await visitor.read_header();
    co_await visitor.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    visitor.socket().shutdown(asio::ip::tcp::socket::shutdown_send);
    co_await visitor.until_closed();
  });
  const auto response =
      run(http_request(server.endpoint(), {"POST", "/", {}, std::string(4U << 20, 'x')}, kPlenty));
  INFO(error_text(response));
  REQUIRE(response.ok());
  CHECK(response->status == 413);
}

TEST_CASE("a cancelled request lets go of everything") {
  std::promise<void> connected, closed;
  const ScriptedServer server([&](Visitor& visitor) -> asio::awaitable<void> {
    co_await visitor.read_header();
    connected.set_value();
    co_await visitor.until_closed();
    closed.set_value();
  });
  asio::io_context context;
  asio::cancellation_signal signal;
  bool succeeded = false;
  const auto request = [&]() -> asio::awaitable<void> {
    const HttpRequest get;
    const auto response = co_await http_request(server.endpoint(), get, kPlenty);
    succeeded = response.ok();
  };
  asio::co_spawn(context, request,
                 asio::bind_cancellation_slot(signal.slot(), [](const std::exception_ptr&) {}));
  std::thread canceller([&] {
    connected.get_future().wait();
    asio::post(context, [&] { signal.emit(asio::cancellation_type::all); });
  });
  context.run();
  canceller.join();
  CHECK_FALSE(succeeded);
  closed.get_future().wait();
}

TEST_CASE("a watch gives every event until its receiver has enough") {
  const ScriptedServer server(answer_with(kStreamHeader + "data: 1\n\ndata: 2\n\ndata: 3\n\n"));
  std::vector<std::string> events;
  const auto watched = run(http_watch(server.endpoint(), "/v1/watch", kPlenty, [&](std::string_view data) {
    events.emplace_back(data);
    return events.size() < 2;
  }));
  CHECK(watched.ok());
  CHECK(events == std::vector<std::string>{"1", "2"});
}

TEST_CASE("a watch says why it ended: the server's end, silence, no stream, a cut event") {
  const auto watch = [](const ScriptedServer& server, int& events,
                        std::chrono::milliseconds silence = kPlenty) {
    return error_text(run(http_watch(server.endpoint(), "/v1/watch", silence, [&](std::string_view) {
      ++events;
      return true;
    })));
  };
  int events = 0;
  const ScriptedServer ended(answer_with(kStreamHeader + "data: 1\n\n"));
  CHECK(has(watch(ended, events), "the server ended the stream"));
  CHECK(events == 1);

  const ScriptedServer silent([](Visitor& visitor) -> asio::awaitable<void> {
    co_await visitor.read_header();
    co_await visitor.send(kStreamHeader + "data: 1\n\ndata: half");
    co_await visitor.until_closed();
  });
  CHECK(has(watch(silent, events, 1s), "no answer within 1000 ms"));
  CHECK(events == 2);

  const ScriptedServer other(answer_with("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"));
  CHECK(has(watch(other, events), "status is 404"));
  const ScriptedServer page(answer_with("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\ndata: x\n\n"));
  CHECK(has(watch(page, events), "no stream of events"));

  const ScriptedServer cut(
      answer_with("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "9\r\ndata: 1\n\n\r\n7\r\ndata: 2"));
  CHECK(has(watch(cut, events), "closed in the middle of the body"));
  CHECK(events == 3);
  const ScriptedServer endless(answer_with(kStreamHeader + std::string(2U << 20, 'x')));
  CHECK(has(watch(endless, events), "larger than 1 MiB"));
  CHECK(events == 3);
}

TEST_CASE("a watch lives on as long as events come, longer than its limit of silence") {
  const ScriptedServer server([](Visitor& visitor) -> asio::awaitable<void> {
    co_await visitor.read_header();
    co_await visitor.send(kStreamHeader);
    asio::steady_timer timer(visitor.socket().get_executor());
    for (int i = 0; i < 25; ++i) {
      timer.expires_after(100ms);
      co_await timer.async_wait(asio::use_awaitable);
      co_await visitor.send("data: x\n\n");
    }
  });
  int events = 0;
  const auto watched =
      run(http_watch(server.endpoint(), "/", 2s, [&](std::string_view) { return ++events < 25; }));
  INFO(error_text(watched));
  CHECK(watched.ok());
  CHECK(events == 25);
}
