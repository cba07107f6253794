/// What the two nodes keep at the witness, and what a witness says: typed, without its wire form
/// (common/witness has that). Pure data.
#pragma once
#include <cstdint>
#include <optional>

#include "common/base/ids.h"
#include "common/roles/role-record.h"

namespace pgtandem {

/// The value of the pair's one key at the witness.
struct WitnessRecord {
  RoleRecord role;
  Uuid boot;               ///< of the process that wrote it
  std::uint64_t beat = 0;  ///< rises with each write of a process, so that it knows its own again

  friend bool operator==(const WitnessRecord&, const WitnessRecord&) = default;
};

/// An answer of the witness, to a read or to a compare-and-swap.
struct WitnessReply {
  Uuid identity;                        ///< of the witness' cluster
  std::uint64_t revision = 0;           ///< of the whole store, at the answer
  bool swapped = false;                 ///< a compare-and-swap: the record sent is in place now
  std::optional<WitnessRecord> record;  ///< what the key holds, unless swapped; none: there is no such key
  std::uint64_t record_revision = 0;    ///< the key's (mod_revision); 0: there is no such key
};

}  // namespace pgtandem
