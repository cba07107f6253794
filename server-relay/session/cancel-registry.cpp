#include "server-relay/session/cancel-registry.h"

#include "common/base/crypto.h"

namespace pgtandem {

void CancelRegistry::add(const BackendKey& master_key, std::weak_ptr<CancelTarget> target) {
  const std::lock_guard lock(mutex_);
  targets_.emplace(master_key.pid, Entry{master_key.key, std::move(target)});
}

void CancelRegistry::remove(const BackendKey& master_key) {
  const std::lock_guard lock(mutex_);
  const auto [begin, end] = targets_.equal_range(master_key.pid);
  for (auto entry = begin; entry != end; ++entry) {
    if (entry->second.key.reveal() == master_key.key.reveal()) {
      targets_.erase(entry);
      return;
    }
  }
}

std::shared_ptr<CancelTarget> CancelRegistry::find(std::uint32_t pid, std::string_view key) const {
  const std::lock_guard lock(mutex_);
  const auto [begin, end] = targets_.equal_range(pid);
  for (auto entry = begin; entry != end; ++entry) {
    if (equal_constant_time(as_bytes(entry->second.key.reveal()), as_bytes(key)))
      return entry->second.target.lock();
  }
  return nullptr;
}

}  // namespace pgtandem
