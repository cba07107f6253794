// The loader's statements on its own server: roles, drops, ANALYZE, cleaning up.
#include <future>

#include "server-relay/bootstrap/loader.h"
#include "server-relay/bootstrap/roles-sql.h"
#include "server-relay/bootstrap/sql-text.h"

namespace pgtandem::bootstrap {
namespace {

constexpr int kFirstWithForce = 130000;
/// Tools, and the relay's service connection, expect it to be there (PostgreSQL manual, "Template
/// Databases").
constexpr std::string_view kMaintenanceDatabase = "postgres";

ExistingGlobals existing(const ServerFacts& facts) {
  ExistingGlobals globals;
  for (const auto& [name, role] : facts.roles) {
    globals.roles.insert(name);
    if (role.expires) globals.roles_with_expiry.insert(name);
  }
  for (const MembershipFacts& m : facts.memberships)
    globals.memberships.push_back({m.role, m.member, m.grantor});
  for (const auto& [name, location] : facts.tablespaces) globals.tablespaces.insert(name);
  globals.server_version = facts.server_version;
  return globals;
}

}  // namespace

Result<void> Loader::load_roles(const Secret& dump) {
  const GlobalsScript script = transform_globals(dump.reveal(), existing(facts_), options_.tablespaces);
  roles_ = script.roles;
  std::vector<std::string> statements = {"SET log_statement = none", "SET log_min_duration_statement = -1",
                                         "SET log_min_error_statement = panic", "BEGIN"};
  statements.insert(statements.end(), script.roles_sql.begin(), script.roles_sql.end());
  statements.emplace_back("COMMIT");
  Result<void> done = execute(std::string(kLoaderDatabase), statements);
  if (done) done = execute(std::string(kLoaderDatabase), script.tablespaces_sql);
  if (!done) return Error{"the roles could not be loaded: " + done.error()};
  // The service user's own password may just have become another one.
  const Result<PgSession> still = PgSession::open(options_.login, kLoaderDatabase);
  if (still) return {};
  return Error{still.error() +
               "; the service user now has the master's password here: copy the master's passfile"};
}

Result<void> Loader::drop_database(const std::string& name) {
  const DatabaseFacts* old = facts_.find(name);
  if (old == nullptr) return {};
  if (old->objects() != 0 && !options_.replace) {
    return Error{"database '" + name +
                 "' exists on the target and is not empty; give --replace to replace it"};
  }
  const std::string quoted = quote_identifier(name);
  std::vector<std::string> statements;
  if (old->is_template) statements.push_back("ALTER DATABASE " + quoted + " IS_TEMPLATE false");
  if (facts_.server_version >= kFirstWithForce) {
    statements.push_back("DROP DATABASE " + quoted + " WITH (FORCE)");
  } else {
    statements.push_back("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = " +
                         quote_literal(name));
    statements.push_back("DROP DATABASE " + quoted);
  }
  const Result<void> done = execute(std::string(kLoaderDatabase), statements);
  if (!done) return Error{"database '" + name + "' of the target cannot be dropped: " + done.error()};
  return {};
}

Result<void> Loader::drop_what_is_not_in_the_stream() {
  phase_ = "drop";
  for (const DatabaseFacts& database : facts_.databases) {
    if (database.name == kLoaderDatabase || databases_.contains(database.name)) continue;
    const Result<void> dropped = options_.replace ? drop_database(database.name) : Result<void>(Error{""});
    if (!dropped) left_.push_back("database " + database.name);
  }
  for (const auto& [name, role] : facts_.roles) {
    if (roles_.contains(name) || name == options_.login.user) continue;
    const bool may = options_.replace && !role.bootstrap;
    const Result<void> dropped =
        may ? execute(std::string(kLoaderDatabase), {"DROP ROLE " + quote_identifier(name)})
            : Result<void>(Error{""});
    if (!dropped) left_.push_back("role " + name);
  }
  return wait(-1, 0) ? Result<void>() : Result<void>(Error{"interrupted"});
}

Result<void> Loader::analyze() {
  phase_ = "analyze";
  for (const std::string& database : databases_) {
    database_ = database;
    const Result<PgSession> reachable = PgSession::open(options_.login, database);
    // A database with CONNECTION LIMIT or ALLOW_CONNECTIONS false of its own is as it is on the master.
    if (!reachable) continue;
    const Result<void> done = execute(database, {"ANALYZE"});
    if (!done) return Error{"ANALYZE in database '" + database + "' failed: " + done.error()};
  }
  database_.clear();
  // What was loaded with synchronous_commit off is on disk before the standby joins.
  return execute(std::string(kLoaderDatabase), {"CHECKPOINT"});
}

Result<void> Loader::execute(const std::string& database, const std::vector<std::string>& statements) {
  if (statements.empty()) return {};
  auto work = std::async(std::launch::async, [&]() -> Result<void> {
    Result<PgSession> session = PgSession::open(options_.login, database);
    if (!session) return Error{session.error()};
    const auto unlimited = session->query("SET statement_timeout = 0");
    if (!unlimited) return Error{unlimited.error()};
    for (const std::string& statement : statements) {
      const auto rows = session->query(statement);
      if (!rows) return Error{rows.error()};
    }
    return {};
  });
  Result<void> caller;
  while (work.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready) {
    if (!caller.ok()) continue;
    const Result<short> alive = wait(-1, 0);
    if (alive) continue;
    caller = Error{alive.error()};
    end_backends();
  }
  const Result<void> done = work.get();
  return caller ? done : caller;
}

void Loader::clean_up() {
  end_backends();
  PgLogin login = options_.login;
  login.application_name = kApplicationName;
  Result<PgSession> session = PgSession::open(login, kLoaderDatabase);
  if (!session) return;
  const Result<std::string> there = session->value("SELECT count(*) FROM pg_database WHERE datname = $1",
                                                   {std::string(kMaintenanceDatabase)});
  if (!there || *there != "0") return;
  const auto made = session->query("CREATE DATABASE " + quote_identifier(kMaintenanceDatabase));
  (void)made;
}

void Loader::end_backends() {
  PgLogin other = options_.login;
  other.application_name = kApplicationName;
  Result<PgSession> session = PgSession::open(other, kLoaderDatabase);
  if (!session) return;
  const auto ended = session->query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND pid <> "
      "pg_backend_pid()",
      {options_.login.application_name});
  (void)ended;
}

}  // namespace pgtandem::bootstrap
