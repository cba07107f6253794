#include "common/net/connect.h"

#include <memory>

#include <asio/co_spawn.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

namespace pgtandem {
namespace {

using asio::ip::tcp;
using Endpoints = std::vector<tcp::endpoint>;

/// One operation and the timer that the coroutine waits for; shared with the handler, which may come after
/// the coroutine has gone.
struct Lookup {
  explicit Lookup(const asio::any_io_executor& executor) : resolver(executor), done(executor) {}
  tcp::resolver resolver;
  asio::steady_timer done;
  bool finished = false;
  asio::error_code failure;
  Endpoints endpoints;
};

struct Attempt {
  explicit Attempt(const asio::any_io_executor& executor) : socket(executor), limit(executor) {}
  tcp::socket socket;
  asio::steady_timer limit;
  bool expired = false;
};

Error cannot_connect(const Endpoint& server, const std::string& why) {
  return Error{"cannot connect to " + to_string(server) + ": " + why};
}

asio::awaitable<asio::error_code> connect_one(std::shared_ptr<Attempt> attempt, tcp::endpoint endpoint,
                                              Deadline deadline) {
  attempt->limit.expires_at(deadline);
  attempt->limit.async_wait([attempt](asio::error_code code) {
    if (code) return;
    attempt->expired = true;
    asio::error_code ignored;
    attempt->socket.close(ignored);
  });
  // However this ends (an exception of a cancelled coroutine included), the timer lets go of the socket.
  struct Guard {
    asio::steady_timer& timer;
    ~Guard() { timer.cancel(); }
  } guard{attempt->limit};
  asio::error_code failure;
  co_await attempt->socket.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, failure));
  if (attempt->expired) failure = asio::error::timed_out;
  co_return failure;
}

}  // namespace

asio::awaitable<Result<Endpoints>> resolve_tcp(Endpoint server, Deadline deadline) {
  asio::error_code not_figures;
  const asio::ip::address address = asio::ip::make_address(server.host, not_figures);
  if (!not_figures) co_return Endpoints{{address, server.port}};

  const auto lookup = std::make_shared<Lookup>(co_await asio::this_coro::executor);
  lookup->done.expires_at(deadline);
  lookup->resolver.async_resolve(server.host, std::to_string(server.port), tcp::resolver::numeric_service,
                                 [lookup](asio::error_code code, const tcp::resolver::results_type& results) {
                                   lookup->finished = true;
                                   lookup->failure = code;
                                   for (const auto& entry : results)
                                     lookup->endpoints.push_back(entry.endpoint());
                                   lookup->done.cancel();
                                 });
  asio::error_code ignored;
  co_await lookup->done.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  if (!lookup->finished) {
    lookup->resolver.cancel();
    co_return cannot_connect(server, "the name was not resolved in time");
  }
  if (lookup->failure)
    co_return cannot_connect(server, "the name is not known: " + lookup->failure.message());
  if (lookup->endpoints.empty()) co_return cannot_connect(server, "the name has no address");
  co_return std::move(lookup->endpoints);
}

asio::awaitable<Result<tcp::socket>> connect_tcp(Endpoint server, Deadline deadline) {
  const auto endpoints = co_await resolve_tcp(server, deadline);
  if (!endpoints.ok()) co_return Error{endpoints.error()};
  const auto executor = co_await asio::this_coro::executor;
  asio::error_code failure = asio::error::timed_out;
  for (std::size_t i = 0; i < endpoints->size(); ++i) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= deadline) break;
    const Deadline share = now + (deadline - now) / int(endpoints->size() - i);
    const auto attempt = std::make_shared<Attempt>(executor);
    failure = co_await connect_one(attempt, (*endpoints)[i], share);
    if (!failure) co_return std::move(attempt->socket);
  }
  co_return cannot_connect(server, failure.message());
}

}  // namespace pgtandem
