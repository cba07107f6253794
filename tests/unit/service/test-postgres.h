/// A PostgreSQL 15 server of a test's own: in a temporary folder, reachable by its Unix socket alone (trust,
/// save for the role `scram`, which needs its password). It ends with the object, and with the test program
/// however that ends.
#pragma once
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <thread>
#include <vector>

#include <libpq-fe.h>

#include "common/net/endpoint.h"

namespace pgtandem::testing {

struct PgConnectionFinish {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
using PgConnectionPtr = std::unique_ptr<PGconn, PgConnectionFinish>;

class TestPostgres {
 public:
  /// Makes the data folder and starts the server; throws std::runtime_error with the server's log when it
  /// cannot.
  TestPostgres();
  ~TestPostgres();
  TestPostgres(const TestPostgres&) = delete;
  TestPostgres& operator=(const TestPostgres&) = delete;

  /// Starts the postmaster and waits until it takes connections.
  void start();
  /// Fast shutdown; waits for the end.
  void stop();
  /// SIGSTOP to the postmaster and everything it started, and SIGCONT.
  void freeze();
  void thaw();

  Endpoint endpoint() const { return {folder_, kPort}; }
  const std::string& folder() const { return folder_; }
  /// A plain client's connection as superuser; throws when refused. `extra` is more of libpq's conninfo.
  PgConnectionPtr connect(const std::string& database = "postgres", const std::string& extra = "") const;
  /// Runs a statement as superuser on a connection of its own; the first column's first value. Throws on an
  /// error.
  std::string sql(const std::string& statement, const std::string& database = "postgres") const;

 private:
  static constexpr std::uint16_t kPort = 5432;  // a name in a folder of our own only

  std::vector<pid_t> processes() const;

  std::string folder_;
  pid_t postmaster_ = -1;
};

/// Runs a statement on `connection`; the first column's first value. Throws std::runtime_error on an error.
std::string sql_on(PGconn* connection, const std::string& statement);

/// Calls `condition` until it is true; false after 20 s.
template <typename Condition>
bool eventually(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return true;
    std::this_thread::sleep_for(
        std::chrono::milliseconds(10));  // the pace of asking, not a guess of duration
  }
  return false;
}

/// The one server that the cases of a test program share; started at first use.
TestPostgres& shared_postgres();

}  // namespace pgtandem::testing
