#include "server-relay/relay/process-limits.h"

namespace pgtandem {

// Windows has neither that signal nor that limit.
void ignore_broken_pipes() {}
void raise_descriptor_limit() {}

}  // namespace pgtandem
