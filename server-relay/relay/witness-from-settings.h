/// The link to the witness that the settings name. A sibling file for each kind of system: TLS is OpenSSL's,
/// which the Windows build does not have.
#pragma once
#include <memory>

#include "common/base/result.h"
#include "common/base/secret.h"
#include "common/config/settings.h"
#include "common/witness/witness-link.h"

namespace pgtandem {

/// Null where there is no witness.
Result<std::shared_ptr<WitnessLink>> make_witness(const RelaySettings& settings, const Secret& pair_key);

}  // namespace pgtandem
