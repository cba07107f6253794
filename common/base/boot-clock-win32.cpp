#include <windows.h>

#include "common/base/boot-clock.h"

namespace pgtandem {

std::int64_t boottime_ms() {
  return std::int64_t(GetTickCount64());
}

}  // namespace pgtandem
