/// Limits that suit a process through which password verifiers pass.
#pragma once
#include <sys/resource.h>

namespace pgtandem::bootstrap {

/// No core file of this process or its children: the dump is in their memory.
inline void forbid_core_dumps() {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
}

}  // namespace pgtandem::bootstrap
