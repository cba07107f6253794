/// A service manager's end of NOTIFY_SOCKET, and the variables that lead to it.
#pragma once
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>

namespace pgtandem::test {

class NotifySocket {
 public:
  /// `name`: a path, or "@..." for an abstract socket.
  explicit NotifySocket(const std::string& name) : name_(name) {
    fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name.front() == '@') address.sun_path[0] = '\0';
    const auto size = socklen_t(offsetof(sockaddr_un, sun_path) + name.size());
    REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), size) == 0);
    const timeval limit{10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  }
  ~NotifySocket() {
    ::close(fd_);
    if (name_.front() == '/') ::unlink(name_.c_str());
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
  }
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  /// The next message, or what says that none came within ten seconds.
  std::string next() const { return receive(0); }
  /// A message that is there already, or nothing.
  std::string at_hand() const { return receive(MSG_DONTWAIT); }

 private:
  std::string receive(int flags) const {
    char text[512];
    const ssize_t n = ::recv(fd_, text, sizeof text, flags);
    if (n < 0) return flags ? "" : "no message";
    return {text, std::size_t(n)};
  }
  std::string name_;
  int fd_ = -1;
};

}  // namespace pgtandem::test
