#include "server-relay/gate/waits.h"

#include <algorithm>

namespace pgtandem {

bool Waits::park(std::uint64_t session, std::vector<std::uint64_t> blockers, Retry retry) {
  const std::lock_guard lock(mutex_);
  for (const std::uint64_t blocker : blockers) {
    if (!reaches(blocker, session, 0)) continue;
    parked_.erase(session);
    return false;
  }
  put(session, Parked{std::move(blockers), 0, 0, std::move(retry)});
  return true;
}

void Waits::park_behind(std::uint64_t session, std::uint64_t holder, Retry retry) {
  const std::lock_guard lock(mutex_);
  put(session, Parked{{}, holder, 0, std::move(retry)});
}

void Waits::put(std::uint64_t session, Parked parked) {
  const auto known = parked_.find(session);
  parked.since = known != parked_.end() ? known->second.since : ++count_;
  parked_.insert_or_assign(session, std::move(parked));
}

bool Waits::Parked::waits_for(std::uint64_t session) const {
  return behind == session || std::ranges::find(blockers, session) != blockers.end();
}

/// A path longer than the number of the parked has gone in a circle that `target` is no part of.
bool Waits::reaches(std::uint64_t from, std::uint64_t target, std::size_t depth) const {
  if (from == target) return true;
  const auto it = parked_.find(from);
  if (it == parked_.end() || depth > parked_.size()) return false;
  return std::ranges::any_of(it->second.blockers,
                             [&](std::uint64_t next) { return reaches(next, target, depth + 1); });
}

void Waits::unpark(std::uint64_t session) {
  const std::lock_guard lock(mutex_);
  parked_.erase(session);
  on_standby_.erase(session);
}

void Waits::note_wait_on_standby(std::uint64_t session) {
  const std::lock_guard lock(mutex_);
  on_standby_.insert(session);
}

bool Waits::waits_on_standby(std::uint64_t session) const {
  const std::lock_guard lock(mutex_);
  return on_standby_.contains(session);
}

void Waits::moved(std::uint64_t session) {
  std::vector<Retry> retries;
  {
    const std::lock_guard lock(mutex_);
    auto first = parked_.end();
    for (auto it = parked_.begin(); it != parked_.end();) {
      if (it->second.blockers.empty() && it->second.behind == 0) {
        retries.push_back(std::move(it->second.retry));
        it = parked_.erase(it);
        continue;
      }
      const bool waits = it->second.waits_for(session);
      if (waits && (first == parked_.end() || it->second.since < first->second.since)) first = it;
      ++it;
    }
    if (first != parked_.end()) {
      const std::uint64_t next = first->first;
      retries.push_back(std::move(first->second.retry));
      parked_.erase(first);
      for (auto& [id, parked] : parked_) {
        if (!parked.waits_for(session)) continue;
        std::erase(parked.blockers, session);
        parked.behind = next;
      }
    }
  }
  for (Retry& retry : retries) retry();
}

std::size_t Waits::parked() const {
  const std::lock_guard lock(mutex_);
  return parked_.size();
}

bool Waits::is_parked(std::uint64_t session) const {
  const std::lock_guard lock(mutex_);
  return parked_.contains(session);
}

}  // namespace pgtandem
