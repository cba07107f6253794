/// Two slot files in memory: what was written but not synced is lost, or torn, in a crash; any operation can
/// fail.
#pragma once
#include <map>
#include <optional>
#include <string>

#include "common/roles/slot-store.h"

namespace pgtandem::testing {

/// The disk, which outlives the stores that write on it.
struct FakeDisk {
  std::map<int, std::string> durable;
  std::map<int, std::string> cached;  ///< newer than durable, lost in a crash
  int fail_after = -1;  ///< the write or sync with this number fails, and all after it; -1: none
  int operations = 0;
  int version = 0;  ///< rises when `durable` changes
  bool unreadable = false;

  bool fails() { return fail_after >= 0 && operations++ >= fail_after; }
  void crash() { cached.clear(); }
  /// The crash leaves `bytes` of what was being written.
  void crash_torn(std::size_t bytes) {
    for (const auto& [index, text] : cached) {
      std::string& old = durable[index];
      old = text.substr(0, bytes) + (old.size() > bytes ? old.substr(bytes) : std::string());
    }
    cached.clear();
    ++version;
  }
};

class FakeSlotFiles final : public SlotFiles {
 public:
  explicit FakeSlotFiles(FakeDisk& disk) : disk_(disk) {}

  Result<std::optional<std::string>> read(int index) override {
    if (disk_.unreadable) return Error{"Input/output error"};
    for (const auto* layer : {&disk_.cached, &disk_.durable}) {
      if (const auto found = layer->find(index); found != layer->end())
        return std::optional<std::string>(found->second);
    }
    return std::optional<std::string>();
  }
  Result<void> write(int index, std::string_view bytes) override {
    if (disk_.fails()) return Error{"No space left on device"};
    disk_.cached[index] = std::string(bytes);
    return {};
  }
  Result<void> sync(int index) override {
    if (disk_.fails()) return Error{"No space left on device"};
    disk_.durable[index] = disk_.cached[index];
    disk_.cached.erase(index);
    ++disk_.version;
    return {};
  }

 private:
  FakeDisk& disk_;
};

}  // namespace pgtandem::testing
