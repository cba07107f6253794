#include "common/roles/slot.h"

#include <algorithm>

#include "common/base/crc32c.h"

namespace pgtandem {
namespace {

constexpr std::string_view kMagic = "PGTDROLE";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 16;
constexpr std::size_t kCrcBytes = 4;
constexpr std::uint8_t kKnownFlags = 15;

void put(ByteWriter& out, const Uuid& uuid) {
  out.text(as_text(uuid.bytes));
}

Uuid take_uuid(ByteReader& in) {
  Uuid uuid;
  std::ranges::copy(in.take(uuid.bytes.size()), uuid.bytes.begin());
  return uuid;
}

std::uint8_t flags_of(const Slot& slot) {
  return std::uint8_t((slot.sync ? 1 : 0) | (slot.eligible ? 2 : 0) | (slot.fenced ? 4 : 0) |
                      (slot.split ? 8 : 0));
}

/// False for a value that no node has.
bool take_node(ByteReader& in, Node& node) {
  const std::uint8_t value = in.u8();
  node = Node(value);
  return value <= 2;
}

bool take_lineage(ByteReader& in, Lineage& lineage) {
  lineage.generation = take_uuid(in);
  const std::size_t count = in.u8();
  bool sound = count <= kMaxParents;
  for (std::size_t i = 0; i < kMaxParents; ++i) {
    const Uuid parent = take_uuid(in);
    if (i < count) lineage.parents.push_back(parent);
    sound = sound && parent.is_none() == (i >= count);
  }
  return sound;
}

Result<Slot> decode_body(ByteReader& in) {
  Slot slot;
  slot.sequence = in.u64();
  slot.cluster = take_uuid(in);
  bool sound = take_node(in, slot.node) && slot.node != Node::none;
  slot.epoch = in.u64();
  slot.highest_seen = in.u64();
  sound = take_node(in, slot.master) && sound;
  sound = take_node(in, slot.data_node) && sound;
  sound = take_lineage(in, slot.lineage) && sound;
  const std::uint8_t flags = in.u8();
  slot.sync = (flags & 1) != 0;
  slot.eligible = (flags & 2) != 0;
  slot.fenced = (flags & 4) != 0;
  slot.split = (flags & 8) != 0;
  slot.clean = take_uuid(in);
  slot.promised_epoch = in.u64();
  sound = take_node(in, slot.promised_to) && sound;
  slot.witness = take_uuid(in);
  slot.witness_revision = in.u64();
  if (in.failed() || in.left() != kCrcBytes) return Error{"the slot has a wrong length"};
  if (!sound || flags > kKnownFlags || slot.highest_seen < slot.epoch) {
    return Error{"the slot holds an impossible value"};
  }
  return slot;
}

}  // namespace

std::string encode_slot(const Slot& slot) {
  ByteWriter out;
  out.text(kMagic).u32(kVersion).u32(kSlotBytes);
  out.u64(slot.sequence);
  put(out, slot.cluster);
  out.u8(std::uint8_t(slot.node)).u64(slot.epoch).u64(slot.highest_seen);
  out.u8(std::uint8_t(slot.master)).u8(std::uint8_t(slot.data_node));
  put(out, slot.lineage.generation);
  const std::size_t parents = std::min(slot.lineage.parents.size(), kMaxParents);
  out.u8(std::uint8_t(parents));
  for (std::size_t i = 0; i < kMaxParents; ++i) put(out, i < parents ? slot.lineage.parents[i] : Uuid{});
  out.u8(flags_of(slot));
  put(out, slot.clean);
  out.u64(slot.promised_epoch).u8(std::uint8_t(slot.promised_to));
  put(out, slot.witness);
  out.u64(slot.witness_revision);
  out.u32(crc32c(as_bytes(out.str())));
  return out.take();
}

Result<Slot> decode_slot(ByteSpan bytes) {
  if (bytes.size() < kHeaderBytes) return Error{"the slot is cut short"};
  ByteReader in(bytes);
  if (as_text(in.take(kMagic.size())) != kMagic) return Error{"this is no slot: its magic is missing"};
  if (const std::uint32_t version = in.u32(); version != kVersion) {
    return Error{"the slot has format version " + std::to_string(version) + ", known is " +
                 std::to_string(kVersion)};
  }
  if (in.u32() != kSlotBytes || bytes.size() != kSlotBytes) return Error{"the slot has a wrong length"};
  const std::size_t covered = bytes.size() - kCrcBytes;
  if (crc32c(bytes.first(covered)) != load_u32(bytes.data() + covered)) {
    return Error{"the slot's checksum does not fit"};
  }
  return decode_body(in);
}

}  // namespace pgtandem
