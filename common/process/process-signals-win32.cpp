#include <csignal>

#include "common/process/process-signals.h"

namespace pgtandem {

// SIGBREAK: Ctrl-Break in a console; for a service, what its manager calls "parameters have changed".
std::vector<int> stop_signals() {
  return {SIGTERM, SIGINT};
}
std::vector<int> reload_signals() {
  return {SIGBREAK};
}

}  // namespace pgtandem
