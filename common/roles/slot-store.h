/// Keeps the slot durable in two files, so that one whole copy of the newest or of the state before is on
/// disk at any moment. The choice and order of writes are here and pure; the files themselves are behind
/// SlotFiles.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "common/roles/slot.h"

namespace pgtandem {

enum class SlotsFound {
  none,    ///< no files: the first start
  usable,  ///< at least one is whole
  bad,     ///< files, but none is whole, or they cannot be read: no authority (hard point 11)
};

struct LoadedSlots {
  SlotsFound found = SlotsFound::none;
  Slot slot;         ///< where usable
  std::string note;  ///< what is wrong with a file, for the log; empty if nothing is
};

/// What the role machine's driver needs of a disk. Control thread only; write() blocks for the disk.
class SlotStore {
 public:
  virtual ~SlotStore() = default;
  virtual LoadedSlots load() = 0;
  /// Returns after the slot is durable. On an error it is in doubt which of the two states a restart will
  /// find; the caller goes on as if the old one, and releases nothing.
  virtual Result<void> write(const Slot& slot) = 0;
};

/// Two files, 0 and 1, in one folder.
class SlotFiles {
 public:
  virtual ~SlotFiles() = default;
  /// Nothing where there is no such file.
  virtual Result<std::optional<std::string>> read(int index) = 0;
  /// Replaces the file's content; durable only after sync().
  virtual Result<void> write(int index, std::string_view bytes) = 0;
  /// fsync of the file and of its folder.
  virtual Result<void> sync(int index) = 0;
};

/// Writes every state to both files, one after the other: first to the one that is not the newest whole copy,
/// and to the second only when the first is durable. So a crash leaves one whole copy, and a file that rots
/// later is no loss: the other holds the same state, not an older one with more authority.
class TwoSlotStore final : public SlotStore {
 public:
  explicit TwoSlotStore(std::unique_ptr<SlotFiles> files) : files_(std::move(files)) {}

  LoadedSlots load() override;
  Result<void> write(const Slot& slot) override;

 private:
  Result<void> write_one(int index, std::string_view bytes);

  std::unique_ptr<SlotFiles> files_;
  std::uint64_t sequence_ = 0;
  int newest_ = 1;  ///< the file with the newest whole slot, which is overwritten last
};

}  // namespace pgtandem
