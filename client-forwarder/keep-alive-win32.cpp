#include <winsock2.h>
// Behind winsock2.h: it uses its types.
#include <mstcpip.h>

#include "client-forwarder/pump.h"

namespace pgtandem {
namespace {

// Milliseconds. Windows gives up after ten probes, whatever is set: dead after 30 s + 10 * 3 s.
constexpr ULONG kKeepIdle = 30000;
constexpr ULONG kKeepInterval = 3000;

}  // namespace

void set_keep_alive(asio::ip::tcp::socket& socket) {
  tcp_keepalive values{1, kKeepIdle, kKeepInterval};
  DWORD size = 0;
  // Best effort, as prepare_socket() says.
  WSAIoctl(socket.native_handle(), SIO_KEEPALIVE_VALS, &values, sizeof values, nullptr, 0, &size, nullptr,
           nullptr);
}

}  // namespace pgtandem
