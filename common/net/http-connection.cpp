#include "common/net/http-connection.h"

#include <array>
#include <optional>
#include <span>

#include <asio/redirect_error.hpp>
#include <asio/ssl/host_name_verification.hpp>
#include <asio/ssl/stream.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>

#include "common/base/secret.h"
#include "common/net/http-parser.h"
#include "common/net/http-request.h"
#include "common/net/timed-socket.h"

namespace pgtandem {

namespace {

constexpr std::size_t kReadBytes = 8U << 10;

/// What became of one request and its answer.
struct Exchange {
  bool any = false;     ///< something was answered
  bool over = false;    ///< the server ended the connection
  std::string trouble;  ///< empty: the answer is whole
};

}  // namespace

/// Plain, or by TLS.
struct HttpConnection::Channel : TimedSocket {
  using TimedSocket::TimedSocket;

  void rest() { limit.expires_at(Deadline::max()); }

  asio::awaitable<asio::error_code> secure(asio::ssl::context& context, std::string host) {
    tls.emplace(socket, context);
    asio::error_code code;
    asio::error_code not_figures;
    asio::ip::make_address(host, not_figures);
    // A name for the server to choose its certificate by; figures are none (RFC 6066).
    if (not_figures) SSL_set_tlsext_host_name(tls->native_handle(), host.c_str());
    tls->set_verify_callback(asio::ssl::host_name_verification(host), code);
    if (code) co_return code;
    co_await tls->async_handshake(asio::ssl::stream_base::client,
                                  asio::redirect_error(asio::use_awaitable, code));
    co_return code;
  }
  asio::awaitable<asio::error_code> send(const std::string& text) {
    asio::error_code code;
    if (tls) {
      co_await asio::async_write(*tls, asio::buffer(text), asio::redirect_error(asio::use_awaitable, code));
    } else {
      co_await asio::async_write(socket, asio::buffer(text), asio::redirect_error(asio::use_awaitable, code));
    }
    co_return code;
  }
  asio::awaitable<std::size_t> read(std::span<char> into, asio::error_code& code) {
    std::size_t size = 0;
    if (tls) {
      size = co_await tls->async_read_some(asio::buffer(into.data(), into.size()),
                                           asio::redirect_error(asio::use_awaitable, code));
    } else {
      size = co_await socket.async_read_some(asio::buffer(into.data(), into.size()),
                                             asio::redirect_error(asio::use_awaitable, code));
    }
    co_return size;
  }
  asio::awaitable<void> exchange(const std::string& text, HttpResponseParser& parser, Exchange& done) {
    // A server that answers and closes before it has read everything says more by its answer than by this.
    (void)co_await send(text);
    std::array<char, kReadBytes> buffer;
    while (done.trouble.empty() && !parser.complete()) {
      asio::error_code code;
      const std::size_t size = co_await read(buffer, code);
      done.any = done.any || size != 0;
      done.over = code == asio::error::eof || code == asio::ssl::error::stream_truncated;
      if (code && !done.over) {
        done.trouble = "the connection failed: " + code.message();
        break;
      }
      const Result<void> fed = done.over ? parser.finish() : parser.feed({buffer.data(), size});
      if (!fed) done.trouble = fed.error();
    }
    clear_memory(buffer.data(), buffer.size());
  }
  /// What has come without being asked for could pass for the answer to the next request.
  bool is_quiet() {
    asio::error_code code;
    const std::size_t waiting = socket.available(code);
    return !code && waiting == 0 && (!tls || SSL_pending(tls->native_handle()) == 0);
  }

  std::optional<asio::ssl::stream<asio::ip::tcp::socket&>> tls;
};

/// Between two requests.
struct HttpConnection::Kept {
  std::shared_ptr<Channel> channel;

  ~Kept() { drop(); }
  void drop() {
    if (channel != nullptr) channel->close();
    channel.reset();
  }
};

namespace {

bool is_kept(const HttpResponse& response) {
  for (const auto& [name, value] : response.headers) {
    if (name == "connection" && value.find("lose") != std::string::npos) return false;  // Close, close
  }
  return true;
}

/// Clears a text that may hold secrets, whatever way the coroutine ends.
struct Clearing {
  std::string text;
  explicit Clearing(std::string taken) : text(std::move(taken)) {}
  Clearing(const Clearing&) = delete;
  Clearing& operator=(const Clearing&) = delete;
  ~Clearing() { clear_memory(text.data(), text.size()); }
};

}  // namespace

asio::awaitable<Result<std::shared_ptr<HttpConnection::Channel>>> HttpConnection::open(
    Endpoint server, std::shared_ptr<asio::ssl::context> tls, Deadline deadline) {
  Result<asio::ip::tcp::socket> socket = co_await connect_tcp(server, deadline);
  if (!socket) co_return Error{socket.error()};
  const auto channel = std::make_shared<Channel>(std::move(*socket));
  if (!tls) co_return channel;
  channel->expire_at(deadline);
  const asio::error_code code = co_await channel->secure(*tls, server.host);
  if (!code) co_return channel;
  channel->close();
  co_return Error{"https://" + to_string(server) +
                  ": no TLS connection: " + (channel->expired ? "no answer in time" : code.message())};
}

HttpConnection::HttpConnection(Endpoint server, std::shared_ptr<asio::ssl::context> tls)
    : server_(std::move(server)), tls_(std::move(tls)), kept_(std::make_shared<Kept>()) {}

HttpConnection::~HttpConnection() = default;

asio::awaitable<Result<HttpResponse>> HttpConnection::request(HttpRequest request,
                                                              std::chrono::milliseconds timeout,
                                                              std::size_t max_body) {
  const Deadline deadline = std::chrono::steady_clock::now() + timeout;
  const Endpoint server = server_;
  const std::shared_ptr<asio::ssl::context> tls = tls_;
  const std::shared_ptr<Kept> kept = kept_;
  const std::string where = (tls ? "https://" : "http://") + to_string(server) + request.path;
  const auto failed = [&where](const std::string& why) { return Error{where + ": " + why}; };
  Result<std::string> text = write_http_request(server, request, AfterAnswer::keep);
  clear_memory(request.body.data(), request.body.size());
  if (!text) co_return failed(text.error());
  const Clearing sent(std::move(*text));
  if (kept->channel != nullptr && !kept->channel->is_quiet()) kept->drop();
  while (true) {
    const bool used = kept->channel != nullptr;
    if (!used) {
      Result<std::shared_ptr<Channel>> opened = co_await open(server, tls, deadline);
      if (!opened) co_return Error{opened.error()};
      kept->channel = std::move(*opened);
    }
    const std::shared_ptr<Channel> channel = kept->channel;
    channel->expire_at(deadline);
    HttpResponseParser parser(false, max_body);
    Exchange exchange;
    co_await channel->exchange(sent.text, parser, exchange);
    if (exchange.trouble.empty() && !exchange.over && is_kept(parser.response())) {
      channel->rest();
    } else {
      kept->drop();
    }
    if (exchange.trouble.empty()) co_return std::move(parser.response());
    if (channel->expired) co_return failed("no answer within " + std::to_string(timeout.count()) + " ms");
    if (!used || exchange.any) co_return failed(exchange.trouble);
  }
}

}  // namespace pgtandem
