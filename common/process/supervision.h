/// A serving process and those who look after it: signals come in, the service manager is told how things
/// are. The watchdog is fed only when every loop of the process has answered: one that hangs is a failure of
/// the whole, and the manager starts it anew. Lives on the thread of its io_context.
#pragma once
#include <chrono>
#include <functional>
#include <string>

#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>

#include "common/process/service-notifier.h"

namespace pgtandem {

struct SupervisionHandlers {
  std::function<void()> stop;           ///< the first SIGTERM or SIGINT
  std::function<void()> stop_at_once;   ///< the second
  std::function<void()> reload;         ///< SIGHUP; over when it returns
  std::function<std::string()> status;  ///< how things are, on one line
  /// Calls `alive` on this thread when every other loop of the process has answered; no later round begins
  /// before. Empty: this thread is the only one that matters.
  std::function<void(std::function<void()> alive)> probe;
  std::chrono::milliseconds stop_limit{0};  ///< how long a stop in order may take
};

class Supervision {
 public:
  Supervision(asio::io_context& context, ServiceNotifier notifier, SupervisionHandlers handlers);

  /// Signals count from now on, and the manager learns that all is open.
  void ready();
  /// Something of status() has changed.
  void status_changed();

 private:
  void await_stop();
  void await_reload();
  void plan_round();
  void begin_round();

  asio::io_context& context_;
  ServiceNotifier notifier_;
  SupervisionHandlers handlers_;
  asio::signal_set stop_;
  asio::signal_set reload_;
  asio::steady_timer round_;
  bool ready_ = false;
  bool stopping_ = false;
  bool asking_ = false;  ///< a round has not been answered yet
};

}  // namespace pgtandem
