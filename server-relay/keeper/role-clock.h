/// The clocks of the roles. The steady one goes on while the host sleeps: a relay that was suspended has
/// stood still.
#pragma once
#include "common/roles/role-events.h"

namespace pgtandem {

/// boottime_ms(), and the wall clock for texts.
Now role_clock_now();

}  // namespace pgtandem
