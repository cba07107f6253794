#include "server-relay/bootstrap/pg-session.h"

#include <libpq-fe.h>

#include "server-relay/bootstrap/sql-text.h"

namespace pgtandem::bootstrap {
namespace {

/// pg_database_size walks every file of a database: minutes on slow disks are no error.
constexpr const char* kSessionOptions =
    "-c statement_timeout=10min -c lock_timeout=30s -c default_transaction_read_only=off "
    "-c default_transaction_isolation=read\\ committed -c search_path=pg_catalog";

/// For psql and pg_dump: what they send (rows, perhaps secrets of applications) stays out of the server's
/// log.
constexpr const char* kChildOptions =
    "-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0 "
    "-c default_transaction_read_only=off -c default_transaction_isolation=read\\ committed "
    "-c client_min_messages=warning -c log_statement=none -c log_min_duration_statement=-1 "
    "-c log_min_error_statement=panic";

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};

void silent(void*, const char*) {}

}  // namespace

std::vector<std::string> pg_environment(const PgLogin& login, const std::string& options) {
  std::vector<std::string> environment = {
      "PGHOST=" + login.server.host, "PGPORT=" + std::to_string(login.server.port),
      "PGUSER=" + login.user,        "PGAPPNAME=" + login.application_name,
      "PGCONNECT_TIMEOUT=10",        std::string("PGOPTIONS=") + kChildOptions + " " + options};
  if (!login.passfile.empty()) environment.push_back("PGPASSFILE=" + login.passfile);
  return environment;
}

std::string conninfo_for_database(std::string_view database) {
  std::string out = "dbname='";
  for (const char c : database) {
    if (c == '\'' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "'";
}

void PgSession::Close::operator()(pg_conn* connection) const {
  PQfinish(connection);
}

PgSession::PgSession(pg_conn* connection) : connection_(connection) {}
PgSession::PgSession(PgSession&&) noexcept = default;
PgSession::~PgSession() = default;

Result<PgSession> PgSession::open(const PgLogin& login, std::string_view database) {
  const std::string port = std::to_string(login.server.port);
  const std::string dbname(database);
  std::vector<const char*> keys = {"host",
                                   "port",
                                   "user",
                                   "dbname",
                                   "application_name",
                                   "options",
                                   "connect_timeout",
                                   "client_encoding",
                                   "tcp_user_timeout"};
  std::vector<const char*> values = {login.server.host.c_str(),
                                     port.c_str(),
                                     login.user.c_str(),
                                     dbname.c_str(),
                                     login.application_name.c_str(),
                                     kSessionOptions,
                                     "10",
                                     "UTF8",
                                     "30000"};
  if (!login.passfile.empty()) {
    keys.push_back("passfile");
    values.push_back(login.passfile.c_str());
  }
  keys.push_back(nullptr);
  values.push_back(nullptr);
  PgSession session(PQconnectdbParams(keys.data(), values.data(), 0));
  PGconn* connection = session.connection_.get();
  if (connection == nullptr || PQstatus(connection) != CONNECTION_OK) {
    const std::string reason = connection == nullptr ? "out of memory" : PQerrorMessage(connection);
    return Error{"cannot log in to database '" + dbname + "' of the server at " + to_string(login.server) +
                 " as '" + login.user + "': " + safe_excerpt(reason)};
  }
  PQsetNoticeProcessor(connection, silent, nullptr);
  PQsetErrorVerbosity(connection, PQERRORS_TERSE);
  return session;
}

int PgSession::version() const {
  return PQserverVersion(connection_.get());
}

Result<std::vector<PgRow>> PgSession::query(const std::string& sql,
                                            const std::vector<std::string>& parameters) {
  std::vector<const char*> values;
  for (const std::string& parameter : parameters) values.push_back(parameter.c_str());
  const std::unique_ptr<PGresult, ClearResult> result(PQexecParams(
      connection_.get(), sql.c_str(), int(values.size()), nullptr, values.data(), nullptr, nullptr, 0));
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
    return Error{safe_excerpt(PQerrorMessage(connection_.get()))};
  }
  std::vector<PgRow> rows(std::size_t(PQntuples(result.get())));
  for (int row = 0; row < int(rows.size()); ++row) {
    for (int column = 0; column < PQnfields(result.get()); ++column) {
      const bool null = PQgetisnull(result.get(), row, column) != 0;
      rows[std::size_t(row)].push_back(
          null ? std::nullopt : std::optional<std::string>(PQgetvalue(result.get(), row, column)));
    }
  }
  return rows;
}

Result<std::string> PgSession::value(const std::string& sql, const std::vector<std::string>& parameters) {
  const Result<std::vector<PgRow>> rows = query(sql, parameters);
  if (!rows) return Error{rows.error()};
  if (rows->empty() || rows->front().empty()) return std::string();
  return rows->front().front().value_or("");
}

}  // namespace pgtandem::bootstrap
