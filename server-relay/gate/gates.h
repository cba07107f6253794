/// The gates of a relay, one a database, and which backends belong to which session.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "server-relay/gate/gate.h"
#include "server-relay/gate/lock-forecast.h"
#include "server-relay/gate/untried-writes.h"
#include "server-relay/gate/waits.h"

namespace pgtandem {

struct DatabaseOrder {
  Gate gate;
  Waits waits;
  LockForecast forecast;
  UntriedWrites untried;
};

/// Thread-safe. A database's order lives as long as the relay.
class Gates {
 public:
  DatabaseOrder& of(const std::string& database);
  /// Of what belongs to no database: roles, databases, tablespaces.
  DatabaseOrder& of_shared_objects() { return shared_objects_; }

  /// Backends by their process ids, on either server: pg_blocking_pids names those.
  void add_backends(std::uint64_t session, std::uint32_t master_pid, std::uint32_t standby_pid);
  /// Does nothing to a process id that belongs to another session by now: servers use them again.
  void remove_backends(std::uint64_t session, std::uint32_t master_pid, std::uint32_t standby_pid);
  /// The sessions of these backends; those that are no session's are left out.
  std::vector<std::uint64_t> sessions_of(const std::vector<std::uint32_t>& pids, bool on_master) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<DatabaseOrder>, std::less<>> orders_;
  DatabaseOrder shared_objects_;
  std::unordered_map<std::uint32_t, std::uint64_t> on_master_;
  std::unordered_map<std::uint32_t, std::uint64_t> on_standby_;
};

}  // namespace pgtandem
