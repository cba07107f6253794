/// One durable slot: everything that a node must still know after its process, or its host, has died.
///
///   slot    = magic version length body crc             all integers big-endian; the length is fixed
///   magic   = "PGTDROLE"
///   version = u32, 1                                    an unknown version gives no authority
///   length  = u32, bytes of the whole slot
///   body    = sequence:u64 cluster:uuid node:u8
///             epoch:u64 highest_seen:u64 master:u8 data_node:u8
///             generation:uuid parent_count:u8 parent:uuid*8 (those beyond parent_count are zero)
///             flags:u8 (1 sync, 2 eligible, 4 fenced, 8 split; others are zero)
///             clean:uuid promised_epoch:u64 promised_to:u8
///             witness:uuid witness_revision:u64
///   crc     = u32, CRC-32C of everything before it
#pragma once
#include <cstdint>
#include <string>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/roles/lineage.h"

namespace pgtandem {

struct Slot {
  std::uint64_t sequence = 0;  ///< of the write; the store counts it
  Uuid cluster;
  Node node = Node::none;
  Epoch epoch = 0;              ///< of the record of role that this node knows last
  Epoch highest_seen = 0;       ///< never below epoch: no lower epoch is ever taken or promised
  Node master = Node::none;     ///< of that epoch
  Node data_node = Node::none;  ///< whose postmaster holds the data that counts (hard point 10)
  Lineage lineage;              ///< of the data on this node
  bool sync = false;            ///< R1: the master of this epoch waits for the standby
  bool eligible = false;        ///< this node's data is all of its generation, as far as this node knows
  bool fenced = false;          ///< the node was fenced: it never asks for a new epoch by itself
  bool split = false;           ///< both copies went on (R8): the operator decides
  Uuid clean;                   ///< the generation of an orderly stop, or none
  Epoch promised_epoch = 0;     ///< promised to `promised_to`; nobody else gets it
  Node promised_to = Node::none;
  Uuid witness;  ///< none until there is a witness
  std::uint64_t witness_revision = 0;

  friend bool operator==(const Slot&, const Slot&) = default;
};

/// Bytes of an encoded slot.
inline constexpr std::size_t kSlotBytes = 258;

std::string encode_slot(const Slot& slot);
/// Any flaw is an error that names it: such a slot gives no authority.
Result<Slot> decode_slot(ByteSpan bytes);

}  // namespace pgtandem
