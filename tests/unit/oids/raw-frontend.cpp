#include "tests/unit/oids/raw-frontend.h"

#include <cstring>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/bytes.h"

namespace pgtandem::testing {

RawFrontend::RawFrontend(const Endpoint& server, const std::string& database)
    : socket_(socket(AF_UNIX, SOCK_STREAM, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, server.unix_path().c_str(), sizeof address.sun_path - 1);
  const timeval limit{30, 0};
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    close(socket_);
    throw std::runtime_error("cannot connect to " + server.unix_path());
  }
  const std::string startup = ByteWriter()
                                  .u32(196608)
                                  .c_string("user")
                                  .c_string("postgres")
                                  .c_string("database")
                                  .c_string(database)
                                  .u8(0)
                                  .take();
  send(ByteWriter().u32(std::uint32_t(startup.size() + 4)).text(startup).take());
  const auto answer = read_unit();
  if (!error_of(answer).empty()) throw std::runtime_error("login refused: " + error_of(answer));
}

RawFrontend::~RawFrontend() {
  close(socket_);
}

void RawFrontend::send(const std::string& bytes) {
  for (std::size_t sent = 0; sent < bytes.size();) {
    const ssize_t count = ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) throw std::runtime_error("the server does not take what it is sent");
    sent += std::size_t(count);
  }
}

std::vector<BackendMessage> RawFrontend::read_unit() {
  std::vector<BackendMessage> unit;
  do {
    const std::string header = read_exactly(5);
    const std::uint32_t length = load_u32(as_bytes(header).data() + 1);
    unit.push_back({header[0], read_exactly(length - 4)});
    if (unit.back().type == 'E' && unit.back().body.find("SFATAL") != std::string::npos) break;
  } while (unit.back().type != 'Z');
  return unit;
}

std::string RawFrontend::read_exactly(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t got = 0; got < size;) {
    const ssize_t count = recv(socket_, bytes.data() + got, size - got, 0);
    if (count <= 0) throw std::runtime_error("the server ended the connection, or was silent for 30 s");
    got += std::size_t(count);
  }
  return bytes;
}

std::vector<std::string> first_row(const std::vector<BackendMessage>& unit) {
  for (const auto& message : unit) {
    if (message.type != 'D') continue;
    ByteReader reader(as_bytes(message.body));
    std::vector<std::string> fields(reader.u16());
    for (auto& field : fields) {
      const std::uint32_t length = reader.u32();
      if (length != 0xFFFFFFFF) field = as_text(reader.take(length));
    }
    return fields;
  }
  std::string why = "no row";
  for (const auto& message : unit) {
    if (message.type == 'E') why += ": " + message.body;
  }
  throw std::runtime_error(why);
}

std::string error_of(const std::vector<BackendMessage>& unit) {
  for (const auto& message : unit) {
    if (message.type != 'E') continue;
    ByteReader reader(as_bytes(message.body));
    for (std::uint8_t field = reader.u8(); field != 0; field = reader.u8()) {
      const std::string_view value = reader.c_string();
      if (field == 'C') return std::string(value);
    }
  }
  return {};
}

}  // namespace pgtandem::testing
