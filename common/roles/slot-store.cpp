#include "common/roles/slot-store.h"

namespace pgtandem {
namespace {

struct OneFile {
  bool present = false;
  std::optional<Slot> slot;
  std::string flaw;
};

OneFile examine(SlotFiles& files, int index) {
  const std::string name = "role-" + std::to_string(index);
  const Result<std::optional<std::string>> bytes = files.read(index);
  if (!bytes) return {true, std::nullopt, bytes.error()};
  if (!bytes->has_value()) return {};
  const Result<Slot> slot = decode_slot(as_bytes(**bytes));
  if (!slot) return {true, std::nullopt, name + ": " + slot.error()};
  return {true, *slot, {}};
}

}  // namespace

LoadedSlots TwoSlotStore::load() {
  const OneFile file[2] = {examine(*files_, 0), examine(*files_, 1)};
  LoadedSlots result;
  for (const OneFile& one : file) {
    if (!one.flaw.empty()) result.note += (result.note.empty() ? "" : "; ") + one.flaw;
  }
  if (!file[0].present && !file[1].present) return result;
  result.found = SlotsFound::bad;
  for (const int index : {0, 1}) {
    if (!file[index].slot || (result.found == SlotsFound::usable && file[index].slot->sequence <= sequence_))
      continue;
    result.found = SlotsFound::usable;
    result.slot = *file[index].slot;
    sequence_ = result.slot.sequence;
    newest_ = index;
  }
  return result;
}

Result<void> TwoSlotStore::write_one(int index, std::string_view bytes) {
  if (Result<void> written = files_->write(index, bytes); !written) return written;
  if (Result<void> synced = files_->sync(index); !synced) return synced;
  newest_ = index;
  return {};
}

Result<void> TwoSlotStore::write(const Slot& slot) {
  Slot numbered = slot;
  numbered.sequence = ++sequence_;
  const std::string bytes = encode_slot(numbered);
  const int first = 1 - newest_;
  if (Result<void> done = write_one(first, bytes); !done) return done;
  return write_one(1 - first, bytes);
}

}  // namespace pgtandem
