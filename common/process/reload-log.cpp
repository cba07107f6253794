#include "common/process/reload-log.h"

#include "common/base/log.h"

namespace pgtandem {

void log_reload(const config::SettingChanges& changes) {
  log::info("reloaded", {{"taken_over", config::joined(changes.taken_over)}});
  if (changes.need_restart.empty()) return;
  log::warning("needs-a-restart", {{"settings", config::joined(changes.need_restart)},
                                   {"consequence", "their old values stay in force until then"}});
}

void log_failed_reload(const std::string& error) {
  log::error("reload-failed", {{"error", error}, {"consequence", "all settings stay as they are"}});
}

}  // namespace pgtandem
