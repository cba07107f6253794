/// Makes what the settings say about the witness and the fencing hook.
#pragma once
#include <memory>

#include "common/base/result.h"
#include "common/base/secret.h"
#include "common/config/settings.h"
#include "common/witness/witness-link.h"
#include "server-relay/keeper/fencing-hook.h"

namespace pgtandem {

/// Who says, beside the two nodes, which one is master.
struct Arbiters {
  std::shared_ptr<WitnessLink> witness;  ///< null: none
  std::shared_ptr<FencingHook> hook;     ///< null: none, or there is a witness
};

/// Reads the password and the TLS files of the witness. The error names the file that is wrong.
Result<Arbiters> make_arbiters(const RelaySettings& settings, const Secret& pair_key);

}  // namespace pgtandem
