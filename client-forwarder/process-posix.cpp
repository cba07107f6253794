#include <csignal>
#include <sys/resource.h>

#include "client-forwarder/process.h"

namespace pgtandem {

std::uint64_t prepare_process() {
  std::signal(SIGPIPE, SIG_IGN);  // splice(2) has no flag against it
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = before;
  return limit.rlim_cur == RLIM_INFINITY ? 0 : limit.rlim_cur;
}

}  // namespace pgtandem
