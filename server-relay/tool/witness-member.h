/// What the witness says of the pair's key, asked by the operator's tool: member by member, and whoever wrote
/// there.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/base/secret.h"
#include "common/config/settings.h"
#include "common/roles/witness-record.h"

namespace pgtandem::tool {

struct MemberAnswer {
  std::string address;
  std::string trouble;         ///< why it does not answer; empty: it does
  Uuid identity;               ///< of its cluster
  std::uint64_t revision = 0;  ///< of the record; 0: there is none
  std::optional<WitnessRecord> record;
  std::string flaw;  ///< why there is a record that cannot be read
};

/// One member alone, so that another one cannot stand in for it. `settings` name the witness; `key` is the
/// pair's.
MemberAnswer ask_member(const RelaySettings& settings, const WitnessEndpoint& endpoint, const Secret& key);
std::vector<MemberAnswer> ask_members(const RelaySettings& settings, const Secret& key);

/// Deletes the pair's record if it still has this revision. First looks whether a relay keeps it (it would be
/// written several times a second): then, and where it has changed, it stays, and the error says so.
Result<void> erase_record(const RelaySettings& settings, const Secret& key, std::uint64_t revision);

}  // namespace pgtandem::tool
