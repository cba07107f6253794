/// A database of the shared server with objects of a test's own, and what the statement catalogue's queries
/// tell about it, read as the relay reads it.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "server-relay/service/service-connection.h"
#include "server-relay/statements/statement-catalogue.h"
#include "tests/unit/service/test-postgres.h"

namespace pgtandem::testing {

class RealDatabase {
 public:
  /// Makes it anew. `objects`: statements, each in a transaction of its own.
  RealDatabase(std::string name, std::span<const char* const> objects);

  /// A statement on a plain connection that stays open; throws on an error.
  void run(const std::string& sql) const { sql_on(connection_.get(), sql); }
  PGconn* connection() const { return connection_.get(); }

  std::vector<std::vector<std::string>> rows(const char* sql);
  std::string version() { return rows(kStatementCatalogueVersionSql).at(0).at(0); }
  std::shared_ptr<const StatementCatalogue> read();

 private:
  std::string name_;
  ServiceConnection service_;
  PgConnectionPtr connection_;
};

}  // namespace pgtandem::testing
