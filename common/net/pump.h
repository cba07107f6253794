/// Passes bytes on between two streams, both ways, until both directions have ended. Half-close is passed on.
/// Reads again only after the write is done, so that backpressure comes from the structure. Buffers exist
/// only while bytes are on their way.
#pragma once
#include <cstdint>
#include <memory>

#include <asio/awaitable.hpp>

#include "common/net/stream.h"

namespace pgtandem {

struct PumpCounts {
  std::uint64_t forth = 0;  ///< bytes from the first to the second
  std::uint64_t back = 0;
};

/// Both streams must run on `context`; they are closed at the end. Closing either from outside ends the pump.
asio::awaitable<PumpCounts> pump_both_ways(asio::io_context& context, std::shared_ptr<Stream> first,
                                           std::shared_ptr<Stream> second);

}  // namespace pgtandem
