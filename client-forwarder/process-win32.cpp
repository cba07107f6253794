#include "client-forwarder/process.h"

namespace pgtandem {

std::uint64_t prepare_process() {
  return 0;
}  // sockets are no files here, and writes raise no signal

}  // namespace pgtandem
