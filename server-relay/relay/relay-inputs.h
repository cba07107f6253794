/// Everything that a relay reads before it begins, and again at a reload: settings and the files that they
/// name.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "common/base/secret.h"
#include "common/config/load.h"
#include "server-relay/relay/access-list.h"

namespace pgtandem {

struct RelayInputs {
  Loaded<RelaySettings> loaded;
  Secret key;    ///< of the pair; empty in flags-only mode
  Secret token;  ///< empty: no commands
  AccessList access;

  const RelaySettings& settings() const { return loaded.settings; }
};

/// The error is complete and for the operator. Where `loaded.answer` is set nothing else is.
Result<RelayInputs> read_relay_inputs(int argc, const char* const* argv);

/// What a reload changes: settings, and the content of files whose names stay as they are.
config::SettingChanges changed_inputs(const RelayInputs& in_force, const RelayInputs& fresh);

/// Puts into `in_force` what a running relay takes over of `fresh`, as far as it is judged by later reloads.
/// Its settings and its key stay untouched: other threads read them.
void take_over(RelayInputs& in_force, RelayInputs fresh);

}  // namespace pgtandem
