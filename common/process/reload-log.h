/// What the log says about a reload: the same words for every program.
#pragma once
#include <string>

#include "common/config/reload.h"

namespace pgtandem {

/// One line for what was taken over, and one, `needs-a-restart`, for what was not.
void log_reload(const config::SettingChanges& changes);
/// Something in the new settings is wrong, and nothing was taken over.
void log_failed_reload(const std::string& error);

}  // namespace pgtandem
