#include "client-forwarder/refusal.h"

#include <array>

#include <asio/read.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>

#include "common/protocol/error-response.h"
#include "common/protocol/startup.h"

namespace pgtandem {
namespace {

using asio::ip::tcp;

constexpr std::string_view kCannotConnectNow = "57P03";
/// A client may ask for SSL, then for GSS encryption, then start: more questions than these are no start-up.
constexpr int kMaxQuestions = 3;

asio::awaitable<bool> send(tcp::socket& client, std::string text) {
  asio::error_code code;
  co_await asio::async_write(client, asio::buffer(text), asio::redirect_error(asio::use_awaitable, code));
  co_return !code;
}

/// Whether the client got the error. Says nothing to who says nothing: it may not be PostgreSQL's protocol at
/// all.
asio::awaitable<bool> answer_startup(tcp::socket& client, std::string error) {
  std::string arrived;
  int questions = 0;
  for (;;) {
    std::array<char, 1024> buffer;
    asio::error_code code;
    const std::size_t size = co_await client.async_read_some(asio::buffer(buffer),
                                                             asio::redirect_error(asio::use_awaitable, code));
    if (code) co_return false;
    arrived.append(buffer.data(), size);
    for (;;) {
      const ParsedStartup parsed = parse_startup(as_bytes(arrived));
      if (std::holds_alternative<NeedMore>(parsed.packet)) break;
      arrived.erase(0, parsed.consumed);
      const bool question = std::holds_alternative<SslRequest>(parsed.packet) ||
                            std::holds_alternative<GssEncRequest>(parsed.packet);
      if (question && ++questions <= kMaxQuestions) {
        if (!co_await send(client, "N")) co_return false;
      } else if (std::holds_alternative<StartupMessage>(parsed.packet)) {
        co_return co_await send(client, std::move(error));
      } else {
        co_return false;
      }
    }
  }
}

/// Reads until the client closes: closing with unread bytes would reset the connection, and the client might
/// never see the error that was sent.
asio::awaitable<void> let_go(tcp::socket& client) {
  asio::error_code code;
  client.shutdown(tcp::socket::shutdown_send, code);
  std::array<char, 1024> ignored;
  while (!code) {
    co_await client.async_read_some(asio::buffer(ignored), asio::redirect_error(asio::use_awaitable, code));
  }
}

}  // namespace

asio::awaitable<void> refuse_client(std::shared_ptr<tcp::socket> client, std::string message,
                                    std::string detail, std::chrono::milliseconds limit) {
  asio::steady_timer timer(client->get_executor(), limit);
  timer.async_wait([client](asio::error_code code) {
    if (code) return;
    asio::error_code ignored;
    client->close(ignored);
  });
  const std::string error = build_error_response({.sqlstate = kCannotConnectNow,
                                                  .message = message,
                                                  .detail = detail,
                                                  .hint = "Run \"pgtandem status\" on one of the servers."});
  if (co_await answer_startup(*client, error)) co_await let_go(*client);
  asio::error_code ignored;
  client->close(ignored);
}

}  // namespace pgtandem
