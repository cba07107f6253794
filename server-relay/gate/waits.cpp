#include "server-relay/gate/waits.h"

#include <algorithm>

namespace pgtandem {

bool Waits::park(std::uint64_t session, std::vector<std::uint64_t> blockers, Retry retry, std::uint64_t key) {
  const std::lock_guard lock(mutex_);
  for (const std::uint64_t blocker : blockers) {
    if (!reaches(blocker, session, 0)) continue;
    parked_.erase(session);
    return false;
  }
  put(session, Parked{std::move(blockers), 0, 0, key, std::move(retry)});
  return true;
}

void Waits::park_behind(std::uint64_t session, std::uint64_t holder, Retry retry, std::uint64_t key) {
  const std::lock_guard lock(mutex_);
  put(session, Parked{{}, holder, 0, key, std::move(retry)});
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
    std::unordered_map<std::uint64_t, std::uint64_t> firsts;  // by what they want
    for (auto it = parked_.begin(); it != parked_.end();) {
      const Parked& parked = it->second;
      if (parked.blockers.empty() && parked.behind == 0) {
        retries.push_back(std::move(it->second.retry));
        it = parked_.erase(it);
        continue;
      }
      if (parked.waits_for(session)) {
        const auto [first, is_new] = firsts.try_emplace(parked.key, it->first);
        if (!is_new && parked.since < parked_.at(first->second).since) first->second = it->first;
      }
      ++it;
    }
    for (auto it = firsts.empty() ? parked_.end() : parked_.begin(); it != parked_.end();) {
      Parked& parked = it->second;
      const bool waits = parked.waits_for(session);
      const std::uint64_t next = waits ? firsts.at(parked.key) : 0;
      if (next == it->first) {
        retries.push_back(std::move(parked.retry));
        it = parked_.erase(it);
        continue;
      }
      if (waits) {
        std::erase(parked.blockers, session);
        parked.behind = next;
      }
      ++it;
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
