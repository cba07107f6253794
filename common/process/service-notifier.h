/// Tells the service manager (systemd, by the variable NOTIFY_SOCKET) how this process is. Without a manager
/// nothing is sent. Written here instead of taken from libsystemd: it is one datagram. One thread.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace pgtandem {

class ServiceNotifier {
 public:
  /// Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and takes them out of the environment: a program
  /// that is started from here must not speak for this one. Call before there are threads.
  static ServiceNotifier from_environment();

  ServiceNotifier() = default;
  ServiceNotifier(ServiceNotifier&& other) noexcept;
  ServiceNotifier& operator=(ServiceNotifier&& other) noexcept;
  ~ServiceNotifier();

  /// Does anybody listen?
  bool active() const { return socket_ >= 0; }
  /// How often watchdog() is expected; nothing if it is not.
  std::optional<std::chrono::microseconds> watchdog_interval() const { return watchdog_interval_; }

  void ready(std::string_view status);
  void reloading();
  void stopping(std::chrono::milliseconds limit);
  void watchdog();
  /// Sent only if it is another text than the last one.
  void status(std::string_view text);

 private:
  void send(std::string_view message);

  int socket_ = -1;
  std::string name_;  ///< of the manager's socket, as connect(2) takes it
  std::optional<std::chrono::microseconds> watchdog_interval_;
  std::string status_;
};

}  // namespace pgtandem
