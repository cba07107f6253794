#include "client-forwarder/pump.h"

namespace pgtandem {
namespace {

using asio::ip::tcp;

// Dead after kKeepIdle + kKeepCount * kKeepInterval. Seconds.
constexpr int kKeepIdle = 30;
constexpr int kKeepInterval = 10;
constexpr int kKeepCount = 3;

template <int Name>
using TcpInteger = asio::detail::socket_option::integer<IPPROTO_TCP, Name>;

}  // namespace

void set_keep_alive(tcp::socket& socket) {
  asio::error_code ignored;
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
#ifdef TCP_KEEPIDLE
  socket.set_option(TcpInteger<TCP_KEEPIDLE>(kKeepIdle), ignored);
  socket.set_option(TcpInteger<TCP_KEEPINTVL>(kKeepInterval), ignored);
  socket.set_option(TcpInteger<TCP_KEEPCNT>(kKeepCount), ignored);
#endif
}

}  // namespace pgtandem
