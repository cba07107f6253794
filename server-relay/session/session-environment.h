/// What a session needs of its relay. One per I/O thread, except Relay's part, which is shared and
/// thread-safe.
#pragma once
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <string>

#include <asio/awaitable.hpp>

#include "common/base/secret.h"
#include "common/config/settings.h"
#include "server-relay/gate/gates.h"
#include "server-relay/legs/leg-opener.h"
#include "server-relay/oids/oid-map.h"
#include "server-relay/relay/io-thread.h"
#include "server-relay/replies/matcher.h"
#include "server-relay/rewriting/rewrite-plan-cache.h"
#include "server-relay/statements/database-statements.h"

namespace pgtandem {

class AccessList;
class CancelRegistry;

/// A difference between the two servers' replies, with all that an operator needs to judge it.
struct SessionDifference {
  MismatchKind kind = MismatchKind::none;
  std::string session, user, database, application, statement;
  std::string what, master_reply, standby_reply;
  std::string_view action;  ///< "stale", "logged" or "refused"
};

/// What the relay does for its sessions. Thread-safe; awaitables resume on the caller's thread.
class SessionServices {
 public:
  virtual ~SessionServices() = default;
  /// rolpassword of the role at the master, over the service connection.
  virtual asio::awaitable<Result<Secret>> stored_password(std::string role) = 0;
  /// Does the master's (the standby's) postmaster take a new connection within 200 ms? One probe serves all
  /// who ask.
  virtual asio::awaitable<bool> probe_master() = 0;
  virtual asio::awaitable<bool> probe_standby() = 0;
  virtual void record(SessionDifference difference) = 0;
  /// How the two servers' oids of user-defined types are paired in this database (hard point 7); null where
  /// that could not be read. `oids_version` changes when a new reading is needed.
  virtual asio::awaitable<std::shared_ptr<const OidMap>> oids(std::string database) = 0;
  virtual std::shared_ptr<const std::atomic<std::uint64_t>> oids_version(const std::string& database) = 0;
  virtual void oids_changed(const std::string& database) = 0;
  /// Did a unit of any session that may have written run, on either leg, at any time since `begin`? Not
  /// counting the caller's own unit.
  virtual bool writes_overlapped(SteadyTime begin, int own_open_writes) const = 0;

  // Discipline serial.
  virtual Gates& gates() = 0;
  virtual SharedCatalogue& statement_catalogue(const std::string& database) = 0;
  /// DDL was committed.
  virtual void catalogue_changed(const std::string& database) = 0;
  /// The backends that the master's backend `pid` waits for (pg_blocking_pids); none where that is not known.
  virtual asio::awaitable<std::vector<std::uint32_t>> blockers(std::uint32_t pid) = 0;
  /// Has the master's backend `pid`, in the statement that it runs, committed nothing yet? False where that
  /// is not known.
  virtual asio::awaitable<bool> in_first_transaction(std::uint32_t pid) = 0;
  /// Sets the standby's sequences to the master's values. To be called inside the gate.
  virtual asio::awaitable<void> align_sequences(std::string database) = 0;
};

struct SessionEnvironment {
  const RelaySettings& settings;
  IoThread& thread;
  KeeperReports*& keeper;
  const LegOpener& legs;
  const AccessList& access;
  CancelRegistry& cancels;
  SessionServices& services;
  /// Of the databases that a session of this thread has used.
  std::map<std::string, std::unique_ptr<DatabaseStatements>, std::less<>> statements = {};

  std::map<std::string, std::unique_ptr<RewritePlanCache>, std::less<>> rewrite_plans = {};
  SteadyTime standby_heard{};  ///< when the standby last answered a session of this thread

  DatabaseStatements& statements_of(const std::string& database) {
    std::unique_ptr<DatabaseStatements>& entry = statements[database];
    if (entry == nullptr)
      entry = std::make_unique<DatabaseStatements>(services.statement_catalogue(database));
    return *entry;
  }
  RewritePlanCache& rewrite_plans_of(const std::string& database) {
    std::unique_ptr<RewritePlanCache>& entry = rewrite_plans[database];
    if (entry == nullptr) entry = std::make_unique<RewritePlanCache>();
    return *entry;
  }
};

}  // namespace pgtandem
