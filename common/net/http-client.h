/// A small HTTP/1.1 client on asio coroutines, parsed by http_parser: for the control ports. Everything has a
/// time limit and a size limit; a hostile or dead server can cost neither memory nor a coroutine for ever.
///
/// In a coroutine, pass an HttpRequest that has a name: g++ 12 destroys a temporary `{...}` inside a co_await
/// twice.
#pragma once
#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/net/endpoint.h"

namespace pgtandem {

struct HttpRequest {
  std::string method = "GET";
  std::string path = "/";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

struct HttpResponse {
  unsigned status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case
  std::string body;
};

/// One request on a connection of its own. A response that is no 2xx is still a response, not an error. Runs
/// on the calling coroutine's executor; may be cancelled. `max_body` in bytes.
asio::awaitable<Result<HttpResponse>> http_request(Endpoint server, HttpRequest request,
                                                   std::chrono::milliseconds timeout,
                                                   std::size_t max_body = 8U << 20);

/// GET with server-sent events: calls `on_event(data)` for each event (heartbeats included) until the server
/// ends the stream, `on_event` returns false, or nothing came for `silence`. The error says which.
asio::awaitable<Result<void>> http_watch(Endpoint server, std::string path, std::chrono::milliseconds silence,
                                         std::function<bool(std::string_view data)> on_event);

}  // namespace pgtandem
