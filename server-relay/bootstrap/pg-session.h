/// A blocking connection to one PostgreSQL server by libpq, for the few questions that the bootstrap asks,
/// and the login that its child programs use. Every call has a time limit.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/net/endpoint.h"

struct pg_conn;

namespace pgtandem::bootstrap {

/// How the application_name of everything that the bootstrap runs begins.
inline constexpr std::string_view kApplicationName = "pgtandem bootstrap";

/// How to log in to one server as the service user.
struct PgLogin {
  Endpoint server;
  std::string user;
  std::string passfile;  ///< empty: libpq's default
  std::string application_name{kApplicationName};
};

/// PGHOST, PGPORT, PGUSER, PGPASSFILE, PGAPPNAME, PGOPTIONS ... for a child; no secret among them. `options`
/// is added to PGOPTIONS.
std::vector<std::string> pg_environment(const PgLogin& login, const std::string& options = {});

/// "dbname='...'", as a child's --dbname takes it whatever the name contains.
std::string conninfo_for_database(std::string_view database);

using PgRow = std::vector<std::optional<std::string>>;

/// Used by one thread.
class PgSession {
 public:
  /// The error names the server, the database and libpq's reason.
  static Result<PgSession> open(const PgLogin& login, std::string_view database);
  PgSession(PgSession&&) noexcept;
  ~PgSession();

  /// server_version_num
  int version() const;
  /// Rows of one statement; text format, UTF-8.
  Result<std::vector<PgRow>> query(const std::string& sql, const std::vector<std::string>& parameters = {});
  /// The first column of the first row; empty where there is none.
  Result<std::string> value(const std::string& sql, const std::vector<std::string>& parameters = {});

 private:
  explicit PgSession(pg_conn* connection);

  struct Close {
    void operator()(pg_conn* connection) const;
  };
  std::unique_ptr<pg_conn, Close> connection_;
};

}  // namespace pgtandem::bootstrap
