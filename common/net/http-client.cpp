#include "common/net/http-client.h"

#include <array>
#include <memory>

#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>

#include "common/net/connect.h"
#include "common/net/event-stream.h"
#include "common/net/http-parser.h"
#include "common/net/http-request.h"
#include "common/net/timed-socket.h"

namespace pgtandem {
namespace {

using std::chrono::milliseconds;

/// Enough for a status in one piece; large bodies come in several.
constexpr std::size_t kReadBytes = 8U << 10;

/// Closes the connection whatever way the coroutine ends.
struct Closer {
  std::shared_ptr<TimedSocket> connection;
  explicit Closer(std::shared_ptr<TimedSocket> c) : connection(std::move(c)) {}
  Closer(const Closer&) = delete;
  Closer& operator=(const Closer&) = delete;
  ~Closer() { connection->close(); }
};

Error failed(const Endpoint& server, const std::string& path, const std::string& why) {
  return Error{"http://" + to_string(server) + path + ": " + why};
}

std::string read_failure(const TimedSocket& connection, asio::error_code code, milliseconds limit) {
  if (connection.expired) return "no answer within " + std::to_string(limit.count()) + " ms";
  return "the connection failed: " + code.message();
}

/// Reads once and feeds the parser. An empty error text means that it went well.
asio::awaitable<std::string> read_some(TimedSocket& connection, HttpResponseParser& parser,
                                       milliseconds limit) {
  std::array<char, kReadBytes> buffer;
  asio::error_code code;
  const std::size_t size = co_await connection.socket.async_read_some(
      asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, code));
  if (connection.expired || (code && code != asio::error::eof))
    co_return read_failure(connection, code, limit);
  const auto fed = code ? parser.finish() : parser.feed({buffer.data(), size});
  co_return fed.ok() ? std::string() : fed.error();
}

bool is_event_stream(const HttpResponse& response) {
  for (const auto& [name, value] : response.headers) {
    if (name == "content-type") return value.starts_with("text/event-stream");
  }
  return false;
}

/// Connects and sends. The connection's timer is set to `deadline`.
asio::awaitable<Result<std::shared_ptr<TimedSocket>>> send_request(Endpoint server, HttpRequest request,
                                                                   Deadline deadline) {
  const auto text = write_http_request(server, request, AfterAnswer::close);
  if (!text.ok()) co_return failed(server, "", text.error());
  auto socket = co_await connect_tcp(server, deadline);
  if (!socket.ok()) co_return Error{socket.error()};
  const auto connection = std::make_shared<TimedSocket>(std::move(*socket));
  connection->expire_at(deadline);
  try {
    asio::error_code code;
    co_await asio::async_write(connection->socket, asio::buffer(*text),
                               asio::redirect_error(asio::use_awaitable, code));
    // A server that refuses a large body answers and closes before it has read it: the answer tells more than
    // this code.
  } catch (...) {
    connection->close();
    throw;
  }
  co_return connection;
}

}  // namespace

asio::awaitable<Result<HttpResponse>> http_request(Endpoint server, HttpRequest request, milliseconds timeout,
                                                   std::size_t max_body) {
  const Deadline deadline = std::chrono::steady_clock::now() + timeout;
  const std::string path = request.path;
  HttpResponseParser parser(request.method == "HEAD", max_body);
  const auto connection = co_await send_request(server, std::move(request), deadline);
  if (!connection.ok()) co_return Error{connection.error()};
  const Closer closer(*connection);
  while (!parser.complete()) {
    const std::string failure = co_await read_some(**connection, parser, timeout);
    if (!failure.empty()) co_return failed(server, path, failure);
  }
  co_return std::move(parser.response());
}

asio::awaitable<Result<void>> http_watch(Endpoint server, std::string path, milliseconds silence,
                                         std::function<bool(std::string_view data)> on_event) {
  const auto next_deadline = [silence] { return std::chrono::steady_clock::now() + silence; };
  HttpRequest request{"GET", path, {{"Accept", "text/event-stream"}, {"Cache-Control", "no-cache"}}, ""};
  const auto connection = co_await send_request(server, std::move(request), next_deadline());
  if (!connection.ok()) co_return Error{connection.error()};
  const Closer closer(*connection);
  HttpResponseParser parser(false, kMaxEventBytes);
  EventStream events;
  while (!parser.complete()) {
    const std::string failure = co_await read_some(**connection, parser, silence);
    if (!failure.empty()) co_return failed(server, path, failure);
    if (!parser.header_complete()) continue;
    if (parser.response().status != 200 || !is_event_stream(parser.response())) {
      const std::string status = std::to_string(parser.response().status);
      co_return failed(server, path, "no stream of events, the answer's status is " + status);
    }
    bool any = false;
    const auto fed = events.feed(parser.take_body(), [&](std::string_view data) {
      any = true;
      return on_event(data);
    });
    if (!fed.ok()) co_return failed(server, path, fed.error());
    if (!*fed) co_return Result<void>{};
    if (any) (*connection)->expire_at(next_deadline());
  }
  co_return failed(server, path, "the server ended the stream");
}

}  // namespace pgtandem
