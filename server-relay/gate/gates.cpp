#include "server-relay/gate/gates.h"

namespace pgtandem {

DatabaseOrder& Gates::of(const std::string& database) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<DatabaseOrder>& order = orders_[database];
  if (order == nullptr) order = std::make_unique<DatabaseOrder>();
  return *order;
}

void Gates::add_backends(std::uint64_t session, std::uint32_t master_pid, std::uint32_t standby_pid) {
  const std::lock_guard lock(mutex_);
  on_master_[master_pid] = session;
  if (standby_pid != 0) on_standby_[standby_pid] = session;
}

void Gates::remove_backends(std::uint64_t session, std::uint32_t master_pid, std::uint32_t standby_pid) {
  const auto remove = [session](auto& sessions, std::uint32_t pid) {
    const auto it = sessions.find(pid);
    if (it != sessions.end() && it->second == session) sessions.erase(it);
  };
  const std::lock_guard lock(mutex_);
  remove(on_master_, master_pid);
  remove(on_standby_, standby_pid);
}

std::vector<std::uint64_t> Gates::sessions_of(const std::vector<std::uint32_t>& pids, bool on_master) const {
  const std::lock_guard lock(mutex_);
  const auto& known = on_master ? on_master_ : on_standby_;
  std::vector<std::uint64_t> sessions;
  for (const std::uint32_t pid : pids) {
    if (const auto it = known.find(pid); it != known.end()) sessions.push_back(it->second);
  }
  return sessions;
}

}  // namespace pgtandem
