#include "client-forwarder/pump.h"

#include <array>
#include <vector>

#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>

namespace pgtandem {
namespace {

using asio::ip::tcp;

/// As much as a TCP receive buffer commonly holds; one for the thread, not one a session.
constexpr std::size_t kBufferBytes = 64U << 10;

}  // namespace

void prepare_socket(tcp::socket& socket) {
  // Best effort: a socket whose peer has gone meanwhile refuses options, and its first read tells.
  asio::error_code ignored;
  socket.native_non_blocking(true, ignored);
  socket.non_blocking(true, ignored);
  socket.set_option(tcp::no_delay(true), ignored);
  set_keep_alive(socket);
}

asio::awaitable<PumpResult> pump(tcp::socket& source, tcp::socket& target, std::uint64_t& bytes) {
  for (;;) {
    asio::error_code code;
    co_await source.async_wait(tcp::socket::wait_read, asio::redirect_error(asio::use_awaitable, code));
    if (code) co_return PumpResult{PumpEnd::source_gone, code};
    const Step step = co_await move_some(source, target, bytes);
    switch (step.end) {
      case StepEnd::moved:
        break;
      case StepEnd::source_gone:
        co_return PumpResult{PumpEnd::source_gone, step.failure};
      case StepEnd::target_gone:
        co_return PumpResult{PumpEnd::target_gone, step.failure};
      case StepEnd::source_ended:
        target.shutdown(tcp::socket::shutdown_send, code);  // "not connected" means that it has gone already
        co_return PumpResult{};
    }
  }
}

asio::awaitable<Step> move_some_by_buffer(tcp::socket& source, tcp::socket& target, std::uint64_t& bytes) {
  // Shared by the thread: nothing is suspended between the read and the first attempt to write.
  static thread_local std::array<char, kBufferBytes> buffer;
  asio::error_code code;
  const std::size_t size = source.read_some(asio::buffer(buffer), code);
  if (code == asio::error::would_block || code == asio::error::try_again) co_return Step{};
  if (code == asio::error::eof) co_return Step{StepEnd::source_ended, {}};
  if (code) co_return Step{StepEnd::source_gone, code};

  std::size_t written = target.write_some(asio::buffer(buffer.data(), size), code);
  if (code == asio::error::would_block || code == asio::error::try_again) code = {};
  if (!code && written < size) {
    // The target is slow: only now this direction gets memory of its own.
    const std::vector<char> rest(buffer.data() + written, buffer.data() + size);
    written += co_await asio::async_write(target, asio::buffer(rest),
                                          asio::redirect_error(asio::use_awaitable, code));
  }
  bytes += written;
  if (code) co_return Step{StepEnd::target_gone, code};
  co_return Step{};
}

}  // namespace pgtandem
