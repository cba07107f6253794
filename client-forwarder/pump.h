/// Moves bytes one way between two sockets; a session runs one in each direction. Nothing is held for a
/// direction that is idle. Reads again only after the write is done: backpressure comes from the structure.
/// One thread.
#pragma once
#include <cstdint>

#include <asio/awaitable.hpp>
#include <asio/ip/tcp.hpp>

namespace pgtandem {

enum class PumpEnd {
  orderly,      ///< the source ended its direction, and the end was passed on
  source_gone,  ///< the source's connection broke, or was closed here
  target_gone,  ///< the target takes nothing more
};

struct PumpResult {
  PumpEnd end = PumpEnd::orderly;
  asio::error_code failure;  ///< for the log, where `end` is not orderly
};

/// Runs until the direction is over. `bytes` counts what arrived at the target. Does not close the sockets;
/// at an orderly end the target's sending side is shut down. Both sockets must be non-blocking
/// (prepare_socket()).
asio::awaitable<PumpResult> pump(asio::ip::tcp::socket& source, asio::ip::tcp::socket& target,
                                 std::uint64_t& bytes);

/// A peer that is gone without a word is declared dead after a minute, so that an application does not hang
/// for the two hours of the system's default. A sibling file for each kind of system.
void set_keep_alive(asio::ip::tcp::socket& socket);

/// Non-blocking, no Nagle delay, and keepalive that finds a dead peer within about a minute.
void prepare_socket(asio::ip::tcp::socket& socket);

/// What one step came to.
enum class StepEnd { moved, source_ended, source_gone, target_gone };
struct Step {
  StepEnd end = StepEnd::moved;
  asio::error_code failure;
};

/// One step: moves what the source has at the moment, and waits until the target has taken it all. The source
/// is readable. The platform's way: in the kernel (pump-linux.cpp), or by a buffer (pump-portable.cpp).
asio::awaitable<Step> move_some(asio::ip::tcp::socket& source, asio::ip::tcp::socket& target,
                                std::uint64_t& bytes);
/// The same through a buffer of the process, on every platform.
asio::awaitable<Step> move_some_by_buffer(asio::ip::tcp::socket& source, asio::ip::tcp::socket& target,
                                          std::uint64_t& bytes);

}  // namespace pgtandem
