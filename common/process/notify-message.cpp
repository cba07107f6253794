#include "common/process/notify-message.h"

#include <charconv>

namespace pgtandem::notify {
namespace {

/// sockaddr_un has room for 108 bytes, the final NUL of a path among them.
constexpr std::size_t kMaxSocketName = 107;

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

std::string status(std::string_view text) {
  std::string line = "STATUS=";
  for (const char c : text) line += c == '\n' || c == '\r' ? ' ' : c;
  return line;
}

std::string ready(std::string_view text) {
  return "READY=1\n" + status(text);
}

std::string reloading(std::chrono::microseconds monotonic) {
  return "RELOADING=1\nMONOTONIC_USEC=" + std::to_string(monotonic.count());
}

std::string stopping(std::chrono::milliseconds limit, std::string_view text) {
  const auto usec = std::chrono::microseconds(limit).count();
  return "STOPPING=1\nEXTEND_TIMEOUT_USEC=" + std::to_string(usec) + "\n" + status(text);
}

std::string watchdog() {
  return "WATCHDOG=1";
}

std::optional<std::string> socket_name(std::string_view notify_socket) {
  if (notify_socket.size() < 2 || notify_socket.size() > kMaxSocketName) return std::nullopt;
  std::string name(notify_socket);
  if (name.front() == '@') name.front() = '\0';
  if (name.front() != '\0' && name.front() != '/') return std::nullopt;
  return name;
}

std::optional<std::chrono::microseconds> watchdog_interval(std::string_view watchdog_usec,
                                                           std::string_view watchdog_pid,
                                                           std::int64_t own_pid) {
  const auto usec = parse_number(watchdog_usec);
  if (!usec || *usec < 2) return std::nullopt;
  if (!watchdog_pid.empty() && parse_number(watchdog_pid) != own_pid) return std::nullopt;
  return std::chrono::microseconds(*usec / 2);
}

}  // namespace pgtandem::notify
