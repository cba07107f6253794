#include "common/net/stream.h"

#include <memory>

#include <asio/ip/tcp.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

namespace pgtandem {
namespace {

Stream::Transfer transfer(std::size_t bytes, std::error_code failure) {
  Stream::Transfer done;
  done.bytes = bytes;
  if (failure == asio::error::would_block || failure == asio::error::try_again) {
    done.would_block = true;
  } else if (failure) {
    done.ended = true;
    if (failure != asio::error::eof) done.failure = failure;
  }
  return done;
}

/// Closes a socket when its time is over; the connecting coroutine then sees operation_aborted.
class Deadline {
 public:
  Deadline(Stream::Socket& socket, std::chrono::milliseconds limit)
      : timer_(socket.get_executor()), expired_(std::make_shared<bool>(false)) {
    timer_.expires_after(limit);
    timer_.async_wait(
        [&socket, expired = expired_, alive = std::weak_ptr<bool>(alive_)](std::error_code failure) {
          if (failure || alive.expired()) return;
          *expired = true;
          std::error_code ignored;
          socket.close(ignored);
        });
  }
  bool expired() const { return *expired_; }

 private:
  asio::steady_timer timer_;
  std::shared_ptr<bool> expired_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

Stream::Stream(Socket socket) : socket_(std::move(socket)) {
  std::error_code ignored;
  socket_.non_blocking(true, ignored);
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);  // fails harmlessly on a Unix socket
  socket_.set_option(asio::socket_base::keep_alive(true), ignored);
}

Stream::Transfer Stream::try_read(std::span<std::byte> into) {
  std::error_code failure;
  const std::size_t bytes = socket_.read_some(asio::buffer(into.data(), into.size()), failure);
  return transfer(bytes, failure);
}

Stream::Transfer Stream::try_write(ByteSpan data) {
  std::error_code failure;
  const std::size_t bytes = socket_.write_some(asio::buffer(data.data(), data.size()), failure);
  return transfer(bytes, failure);
}

asio::awaitable<std::error_code> Stream::readable() {
  std::error_code failure;
  co_await socket_.async_wait(Socket::wait_read, asio::redirect_error(asio::use_awaitable, failure));
  co_return failure;
}

asio::awaitable<std::error_code> Stream::writable() {
  std::error_code failure;
  co_await socket_.async_wait(Socket::wait_write, asio::redirect_error(asio::use_awaitable, failure));
  co_return failure;
}

void Stream::close() {
  std::error_code ignored;
  socket_.close(ignored);
}

void Stream::shutdown_send() {
  std::error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
}

std::string Stream::peer_name() const {
  std::error_code failure;
  const auto generic = socket_.remote_endpoint(failure);
  if (failure) return {};
  const int family = generic.data()->sa_family;
  if (family == AF_UNIX) return "local";
  if (family != AF_INET && family != AF_INET6) return {};
  // By the family: on Windows the endpoint's own size is that of asio's buffer.
  const std::size_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  asio::ip::tcp::endpoint tcp;
  std::memcpy(tcp.data(), generic.data(), size);
  tcp.resize(size);
  return to_string(Endpoint{tcp.address().to_string(), tcp.port()});
}

asio::awaitable<Result<Stream>> connect_stream(asio::io_context& context, Endpoint endpoint,
                                               std::chrono::milliseconds limit) {
  const std::string where = to_string(endpoint);
  Stream::Socket socket(context);
  Deadline deadline(socket, limit);
  std::error_code failure;
  if (endpoint.is_unix()) {
    const asio::local::stream_protocol::endpoint address(endpoint.unix_path());
    co_await socket.async_connect(address, asio::redirect_error(asio::use_awaitable, failure));
  } else {
    asio::ip::tcp::resolver resolver(context);
    const auto found = co_await resolver.async_resolve(endpoint.host, std::to_string(endpoint.port),
                                                       asio::redirect_error(asio::use_awaitable, failure));
    for (const auto& entry : found) {
      if (deadline.expired()) break;
      std::error_code ignored;
      socket.close(ignored);
      co_await socket.async_connect(entry.endpoint(), asio::redirect_error(asio::use_awaitable, failure));
      if (!failure) break;
    }
  }
  if (deadline.expired())
    co_return Error{"no connection to " + where + " within " + std::to_string(limit.count()) + " ms"};
  if (failure) co_return Error{"cannot connect to " + where + ": " + failure.message()};
  co_return Stream(std::move(socket));
}

asio::awaitable<std::error_code> write_all(Stream& stream, ByteSpan data) {
  while (!data.empty()) {
    const Stream::Transfer done = stream.try_write(data);
    data = data.subspan(done.bytes);
    if (done.ended) co_return done.failure ? done.failure : make_error_code(asio::error::broken_pipe);
    if (done.would_block) {
      if (const std::error_code failure = co_await stream.writable()) co_return failure;
    }
  }
  co_return std::error_code{};
}

asio::awaitable<std::error_code> read_exactly(Stream& stream, std::span<std::byte> into) {
  while (!into.empty()) {
    const Stream::Transfer done = stream.try_read(into);
    into = into.subspan(done.bytes);
    if (done.ended) co_return done.failure ? done.failure : make_error_code(asio::error::eof);
    if (done.would_block) {
      if (const std::error_code failure = co_await stream.readable()) co_return failure;
    }
  }
  co_return std::error_code{};
}

}  // namespace pgtandem
