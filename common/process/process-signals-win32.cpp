#include <csignal>

#include "common/process/process-signals.h"

namespace pgtandem {

std::vector<int> stop_signals() {
  return {SIGTERM, SIGINT};
}
std::vector<int> reload_signals() {
  return {};
}

}  // namespace pgtandem
