/// A connection to one HTTP server that is kept for the next request, plain or by TLS. One request at a time;
/// on the calling coroutine's executor, which must be one thread or a strand. Everything has a time and a
/// size limit, as in http-client.h.
#pragma once
#include <chrono>
#include <memory>
#include <string>

#include <asio/awaitable.hpp>
#include <asio/ssl/context.hpp>

#include "common/base/result.h"
#include "common/net/connect.h"
#include "common/net/http-client.h"

namespace pgtandem {

class HttpConnection {
 public:
  /// `tls` null: plain. With it the server's certificate must be good for the host's name or address.
  HttpConnection(Endpoint server, std::shared_ptr<asio::ssl::context> tls);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  /// A request that the server must not mind hearing twice: a kept connection that turns out to be closed
  /// brings a second attempt. A response that is no 2xx is still a response. The text of the request, which
  /// may hold secrets, is cleared. This object may go while the request is under way.
  asio::awaitable<Result<HttpResponse>> request(HttpRequest request, std::chrono::milliseconds timeout,
                                                std::size_t max_body);
  const Endpoint& server() const { return server_; }

 private:
  struct Channel;
  struct Kept;
  static asio::awaitable<Result<std::shared_ptr<Channel>>> open(Endpoint server,
                                                                std::shared_ptr<asio::ssl::context> tls,
                                                                Deadline deadline);

  Endpoint server_;
  std::shared_ptr<asio::ssl::context> tls_;
  std::shared_ptr<Kept> kept_;
};

}  // namespace pgtandem
