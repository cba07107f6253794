/// The link to the witness that the settings name. A sibling file for each kind of system: TLS is OpenSSL's,
/// which the Windows build does not have.
#pragma once
#include <memory>

#include "common/base/result.h"
#include "common/base/secret.h"
#include "common/config/settings.h"
#include "common/witness/witness-link.h"

namespace pgtandem {

class EtcdLink;

/// Null where there is no witness.
Result<std::shared_ptr<WitnessLink>> make_witness(const RelaySettings& settings, const Secret& pair_key);

/// The same by its own type, for what an operator's tool asks besides; requires a witness. Not on Windows.
Result<std::shared_ptr<EtcdLink>> make_etcd_link(const RelaySettings& settings, const Secret& pair_key);

}  // namespace pgtandem
