#include "server-relay/bootstrap/stop-signal.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

namespace pgtandem::bootstrap {
namespace {

std::atomic<bool> stop{false};
std::array<int, 2> wake{-1, -1};

void on_signal(int) {
  const int saved = errno;
  if (!stop.exchange(true)) {
    const char byte = 1;
    // A pipe's first byte always fits.
    if (::write(wake[1], &byte, 1) < 0) stop = true;
  }
  errno = saved;
}

}  // namespace

void install_stop_signals() {
  if (wake[0] >= 0 || ::pipe2(wake.data(), O_CLOEXEC | O_NONBLOCK) != 0) return;
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

bool stop_requested() {
  return stop;
}
int stop_fd() {
  return wake[0];
}

}  // namespace pgtandem::bootstrap
