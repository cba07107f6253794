#include <csignal>
#include <sys/resource.h>

#include "server-relay/relay/process-limits.h"

namespace pgtandem {

void ignore_broken_pipes() {
  std::signal(SIGPIPE, SIG_IGN);
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace pgtandem
