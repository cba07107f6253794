#include <system_error>
#include <winsock2.h>

#include <asio/detail/winsock_init.hpp>

#include "server-relay/service/interrupt.h"

namespace pgtandem {
namespace {

const asio::detail::winsock_init<> winsock;

/// Connected to itself: whoever else sends to its port is not heard.
bool connect_to_itself(SOCKET signal) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* own = reinterpret_cast<sockaddr*>(&address);
  int size = sizeof address;
  return bind(signal, own, size) == 0 && getsockname(signal, own, &size) == 0 &&
         connect(signal, own, size) == 0;
}

}  // namespace

/// Only sockets can be polled here: a datagram to oneself that nobody reads.
Interrupt::Interrupt() : signal_(socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)) {
  if (signal_ == INVALID_SOCKET || !connect_to_itself(signal_)) {
    const int error = WSAGetLastError();
    if (signal_ != INVALID_SOCKET) closesocket(signal_);
    throw std::system_error(error, std::system_category(), "a socket for a service connection");
  }
}

Interrupt::~Interrupt() {
  closesocket(signal_);
}

void Interrupt::raise() {
  send(signal_, "!", 1, 0);
}

}  // namespace pgtandem
