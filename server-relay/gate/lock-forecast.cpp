#include "server-relay/gate/lock-forecast.h"

namespace pgtandem {

LockForecast::Holder LockForecast::holder(std::uint64_t key, std::uint64_t asking) const {
  const std::lock_guard lock(mutex_);
  const auto found = holders_.find(key);
  return found == holders_.end() || found->second.session == asking ? Holder{} : found->second;
}

LockForecast::Claim LockForecast::claim(std::uint64_t session, std::uint64_t key, bool certain) {
  const std::lock_guard lock(mutex_);
  if (const auto found = holders_.find(key); found != holders_.end()) {
    if (found->second.session != session) return Claim::taken;
    found->second.certain = found->second.certain || certain;
    return Claim::own_already;
  }
  if (holders_.size() >= kMaxKeys) return Claim::not_kept;
  holders_.emplace(key, Holder{session, certain});
  return Claim::new_claim;
}

bool LockForecast::add(std::uint64_t session, std::uint64_t key, bool certain) {
  const std::lock_guard lock(mutex_);
  if (holders_.size() >= kMaxKeys && !holders_.contains(key)) return false;
  Holder& holder = holders_[key];
  const bool added = holder.session != session;
  holder = {session, certain || (!added && holder.certain)};
  return added;
}

void LockForecast::doubt(std::uint64_t session, const std::vector<std::uint64_t>& keys) {
  const std::lock_guard lock(mutex_);
  for (const std::uint64_t key : keys) {
    const auto found = holders_.find(key);
    if (found != holders_.end() && found->second.session == session) found->second.certain = false;
  }
}

void LockForecast::drop(std::uint64_t session, std::vector<std::uint64_t>& keys) {
  if (keys.empty()) return;
  const std::lock_guard lock(mutex_);
  for (const std::uint64_t key : keys) {
    const auto found = holders_.find(key);
    if (found != holders_.end() && found->second.session == session) holders_.erase(found);
  }
  keys.clear();
}

}  // namespace pgtandem
