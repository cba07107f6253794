#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

#include "common/process/notify-message.h"
#include "common/process/service-notifier.h"

namespace pgtandem {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::chrono::microseconds monotonic_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::chrono::seconds(now.tv_sec) +
         std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::nanoseconds(now.tv_nsec));
}

}  // namespace

ServiceNotifier ServiceNotifier::from_environment() {
  ServiceNotifier notifier;
  if (auto name = notify::socket_name(variable("NOTIFY_SOCKET"))) {
    notifier.name_ = std::move(*name);
    // Non-blocking: a manager that does not read must not stop us.
    notifier.socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    notifier.watchdog_interval_ =
        notify::watchdog_interval(variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"), ::getpid());
  }
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
  return notifier;
}

ServiceNotifier::ServiceNotifier(ServiceNotifier&& other) noexcept {
  *this = std::move(other);
}

ServiceNotifier& ServiceNotifier::operator=(ServiceNotifier&& other) noexcept {
  std::swap(socket_, other.socket_);
  std::swap(name_, other.name_);
  std::swap(watchdog_interval_, other.watchdog_interval_);
  std::swap(status_, other.status_);
  return *this;
}

ServiceNotifier::~ServiceNotifier() {
  if (socket_ >= 0) ::close(socket_);
}

void ServiceNotifier::ready(std::string_view text) {
  status_ = text;
  send(notify::ready(text));
}

void ServiceNotifier::reloading() {
  send(notify::reloading(monotonic_now()));
}

void ServiceNotifier::stopping(std::chrono::milliseconds limit) {
  status_ = "stopping";
  send(notify::stopping(limit, status_));
}

void ServiceNotifier::watchdog() {
  send(notify::watchdog());
}

void ServiceNotifier::status(std::string_view text) {
  if (text == status_) return;
  status_ = text;
  send(notify::status(text));
}

/// What cannot be sent is not sent again: the next message of its kind follows, and a missing one is what the
/// manager's own time-outs are for.
void ServiceNotifier::send(std::string_view message) {
  if (socket_ < 0) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name_.data(), name_.size());
  // An abstract name ends where its length says, a path at its NUL.
  const std::size_t path_size = name_.size() + (name_.front() == '\0' ? 0 : 1);
  const auto size = socklen_t(offsetof(sockaddr_un, sun_path) + path_size);
  while (::sendto(socket_, message.data(), message.size(), MSG_NOSIGNAL,
                  reinterpret_cast<const sockaddr*>(&address), size) < 0 &&
         errno == EINTR) {
  }
}

}  // namespace pgtandem
