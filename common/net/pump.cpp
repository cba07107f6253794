#include "common/net/pump.h"

#include <array>
#include <string>

#include <asio/co_spawn.hpp>

#include "common/net/wakeup.h"

namespace pgtandem {
namespace {

constexpr std::size_t kBufferSize = 64U << 10;  ///< bytes: enough for one read of a fast sender

/// One way. An error in either stream closes both: "already gone" is no event worth a word here.
asio::awaitable<std::uint64_t> pump(std::shared_ptr<Stream> from, std::shared_ptr<Stream> to) {
  std::uint64_t total = 0;
  bool orderly = false;
  while (true) {
    if (co_await from->readable()) break;
    // Shared by the whole thread: nothing is suspended between this read and the first attempt to write.
    thread_local std::array<std::byte, kBufferSize> scratch;
    const Stream::Transfer got = from->try_read(scratch);
    if (got.would_block) continue;
    total += got.bytes;
    const Stream::Transfer put = to->try_write(ByteSpan(scratch).first(got.bytes));
    if (got.bytes != 0 && put.ended) break;
    if (put.bytes < got.bytes) {
      const std::string rest(as_text(ByteSpan(scratch).subspan(put.bytes, got.bytes - put.bytes)));
      if (co_await write_all(*to, as_bytes(rest))) break;
    }
    if (got.ended) {
      orderly = !got.failure;
      break;
    }
  }
  if (orderly) {
    to->shutdown_send();
  } else {
    from->close();
    to->close();
  }
  co_return total;
}

}  // namespace

asio::awaitable<PumpCounts> pump_both_ways(asio::io_context& context, std::shared_ptr<Stream> first,
                                           std::shared_ptr<Stream> second) {
  auto done = std::make_shared<Wakeup>(context);
  auto counts = std::make_shared<PumpCounts>();
  asio::co_spawn(context, pump(second, first),
                 [done, counts, first, second](std::exception_ptr thrown, std::uint64_t n) {
                   counts->back = n;
                   if (thrown) {
                     first->close();
                     second->close();
                   }
                   done->notify();
                 });
  counts->forth = co_await pump(first, second);
  co_await done->wait();
  first->close();
  second->close();
  co_return *counts;
}

}  // namespace pgtandem
