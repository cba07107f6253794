#include "server-relay/gate/lock-forecast.h"

namespace pgtandem {

std::uint64_t LockForecast::holder(std::uint64_t key, std::uint64_t asking) const {
  const std::lock_guard lock(mutex_);
  const auto found = holders_.find(key);
  return found == holders_.end() || found->second == asking ? 0 : found->second;
}

LockForecast::Claim LockForecast::claim(std::uint64_t session, std::uint64_t key) {
  const std::lock_guard lock(mutex_);
  if (const auto found = holders_.find(key); found != holders_.end())
    return found->second == session ? Claim::own_already : Claim::taken;
  if (holders_.size() >= kMaxKeys) return Claim::own_already;
  holders_.emplace(key, session);
  return Claim::new_claim;
}

bool LockForecast::add(std::uint64_t session, std::uint64_t key) {
  const std::lock_guard lock(mutex_);
  if (holders_.size() >= kMaxKeys && !holders_.contains(key)) return false;
  std::uint64_t& holder = holders_[key];
  const bool added = holder != session;
  holder = session;
  return added;
}

void LockForecast::drop(std::uint64_t session, std::vector<std::uint64_t>& keys) {
  if (keys.empty()) return;
  const std::lock_guard lock(mutex_);
  for (const std::uint64_t key : keys) {
    const auto found = holders_.find(key);
    if (found != holders_.end() && found->second == session) holders_.erase(found);
  }
  keys.clear();
}

}  // namespace pgtandem
