#include <algorithm>
#include <array>
#include <cstdint>
#include <winsock2.h>

#include "common/net/socket-poll.h"

namespace pgtandem {

int poll_sockets(std::span<PolledSocket> sockets, std::chrono::milliseconds limit) {
  constexpr std::size_t kMost = 4;
  std::array<WSAPOLLFD, kMost> entries{};
  const std::size_t count = std::min(sockets.size(), kMost);
  for (std::size_t at = 0; at < count; ++at) {
    entries[at].fd = sockets[at].handle;
    entries[at].events = short((sockets[at].read ? POLLIN : 0) | (sockets[at].write ? POLLOUT : 0));
  }
  const auto wait = int(std::clamp<std::int64_t>(limit.count(), 0, INT32_MAX));
  const int ready = WSAPoll(entries.data(), ULONG(count), wait);
  for (std::size_t at = 0; at < count; ++at) sockets[at].ready = ready > 0 && entries[at].revents != 0;
  return std::max(ready, 0);
}

}  // namespace pgtandem
