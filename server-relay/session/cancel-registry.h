/// Which session a cancel request means (1-session.md, "Cancel"). Frontends are given the master's key; both
/// servers' keys are kept under it. Thread-safe; not on the hot path.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "common/protocol/backend-key.h"

namespace pgtandem {

/// A session that can be cancelled. Both calls may come from any thread.
class CancelTarget {
 public:
  struct Keys {
    BackendKey master;
    BackendKey standby;  ///< pid 0: there is no standby leg
  };
  virtual ~CancelTarget() = default;
  /// Holds the session's next unit back until release_units() (hard point 21), and gives the keys; `go` runs
  /// on the session's thread.
  virtual void hold_units(std::function<void(Keys)> go) = 0;
  virtual void release_units() = 0;
};

class CancelRegistry {
 public:
  void add(const BackendKey& master_key, std::weak_ptr<CancelTarget> target);
  void remove(const BackendKey& master_key);
  /// Null where no session has this pid and key.
  std::shared_ptr<CancelTarget> find(std::uint32_t pid, std::string_view key) const;

 private:
  struct Entry {
    Secret key;
    std::weak_ptr<CancelTarget> target;
  };
  mutable std::mutex mutex_;
  std::multimap<std::uint32_t, Entry> targets_;
};

}  // namespace pgtandem
