/// The value of a pair's key at the witness, signed under the pair's key, so that whoever can write there
/// cannot make a master (hard point 12). Pure.
///
///   key   = witness.prefix "/" uuid                    as in "/pgtandem/9b2f..."
///   value = JSON object, its keys in this order and without spaces:
///           beat, boot_id, cluster, data, epoch, format (1), generation, mac, master, sync
///   mac   = hex(HMAC-SHA256(pair key, "witness\n" value-without-mac))
#pragma once
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/base/secret.h"
#include "common/roles/witness-record.h"

namespace pgtandem {

/// The pair's key: `prefix` (witness.prefix), a slash and the pair's uuid.
std::string witness_key(std::string_view prefix, const Uuid& cluster);

std::string encode_witness_value(const Secret& pair_key, const WitnessRecord& record);
/// Accepts only the canonical text, signed under this key, of this pair.
Result<WitnessRecord> parse_witness_value(const Secret& pair_key, const Uuid& cluster,
                                          std::string_view value);

}  // namespace pgtandem
