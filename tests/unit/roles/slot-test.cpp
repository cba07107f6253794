#include "common/roles/slot.h"

#include <catch2/catch.hpp>

#include "common/base/crc32c.h"

using namespace pgtandem;

namespace {

Slot rich_slot() {
  Slot slot;
  slot.sequence = 41;
  slot.cluster = random_uuid();
  slot.node = Node::b;
  slot.epoch = 6;
  slot.highest_seen = 9;
  slot.master = Node::a;
  slot.data_node = Node::b;
  slot.lineage.generation = random_uuid();
  for (std::size_t i = 0; i < kMaxParents; ++i) slot.lineage.parents.push_back(random_uuid());
  slot.sync = slot.fenced = true;
  slot.clean = slot.lineage.generation;
  slot.promised_epoch = 9;
  slot.promised_to = Node::a;
  slot.witness = random_uuid();
  slot.witness_revision = 77;
  return slot;
}

/// The slot with one byte changed and a checksum that fits again.
std::string forged(const Slot& slot, std::size_t at, char value) {
  std::string bytes = encode_slot(slot);
  bytes[at] = value;
  ByteWriter crc;
  crc.u32(crc32c(as_bytes(bytes).first(kSlotBytes - 4)));
  return bytes.replace(kSlotBytes - 4, 4, crc.str());
}

}  // namespace

TEST_CASE("a slot comes back as it was written, with every field and at its fixed length") {
  const Slot slot = rich_slot();
  const std::string bytes = encode_slot(slot);
  CHECK(bytes.size() == kSlotBytes);
  const Result<Slot> back = decode_slot(as_bytes(bytes));
  REQUIRE(back.ok());
  CHECK(*back == slot);

  Slot poor;
  poor.node = Node::a;
  const Result<Slot> again = decode_slot(as_bytes(encode_slot(poor)));
  REQUIRE(again.ok());
  CHECK(*again == poor);
}

TEST_CASE("each flag of a slot has a place of its own") {
  for (int flag = 0; flag < 4; ++flag) {
    Slot slot;
    slot.node = Node::a;
    (flag == 0 ? slot.sync : flag == 1 ? slot.eligible : flag == 2 ? slot.fenced : slot.split) = true;
    CHECK(*decode_slot(as_bytes(encode_slot(slot))) == slot);
  }
}

TEST_CASE("a slot with any byte changed in any way is no slot") {
  const std::string bytes = encode_slot(rich_slot());
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = bytes;
      flipped[at] = char(flipped[at] ^ (1 << bit));
      INFO("byte " << at << " bit " << bit);
      CHECK_FALSE(decode_slot(as_bytes(flipped)).ok());
    }
  }
}

TEST_CASE("a slot cut short at any place, or longer than a slot, is no slot") {
  const std::string bytes = encode_slot(rich_slot());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    INFO("size " << size);
    CHECK_FALSE(decode_slot(as_bytes(std::string_view(bytes).substr(0, size))).ok());
  }
  CHECK_FALSE(decode_slot(as_bytes(bytes + '\0')).ok());
}

TEST_CASE("an unknown format version gives no authority even with a sound checksum") {
  const Result<Slot> slot = decode_slot(as_bytes(forged(rich_slot(), 11, 2)));
  REQUIRE_FALSE(slot.ok());
  CHECK(slot.error().find("version 2") != std::string::npos);
}

TEST_CASE("impossible values are refused even with a sound checksum") {
  const std::size_t node = 16 + 8 + 16;
  const std::size_t parent_count = node + 1 + 8 + 8 + 1 + 1 + 16;
  const std::size_t flags = parent_count + 1 + 8 * 16;
  CHECK_FALSE(decode_slot(as_bytes(forged(rich_slot(), node, 0))).ok());
  CHECK_FALSE(decode_slot(as_bytes(forged(rich_slot(), node, 3))).ok());
  CHECK_FALSE(decode_slot(as_bytes(forged(rich_slot(), parent_count, 9))).ok());
  CHECK_FALSE(decode_slot(as_bytes(forged(rich_slot(), parent_count, 7))).ok());
  CHECK_FALSE(decode_slot(as_bytes(forged(rich_slot(), flags, 16))).ok());
  Slot backwards = rich_slot();
  backwards.highest_seen = backwards.epoch - 1;
  CHECK_FALSE(decode_slot(as_bytes(encode_slot(backwards))).ok());
}
