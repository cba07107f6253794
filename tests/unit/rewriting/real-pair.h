/// Two databases of a real server with the same objects, standing for the two servers: what is executed in
/// both at different moments differs just as there.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "server-relay/rewriting/rewrite.h"
#include "tests/unit/service/test-postgres.h"

namespace pgtandem::testing {

struct PgResultClear {
  void operator()(PGresult* result) const { PQclear(result); }
};
using PgResultPtr = std::unique_ptr<PGresult, PgResultClear>;
using OptionalValues = std::vector<std::optional<std::string>>;

class RealPair {
 public:
  RealPair();

  PGconn* master() const { return master_.get(); }
  PGconn* standby() const { return standby_.get(); }
  /// Runs a statement in both.
  void on_both(const std::string& sql) const;

  /// Reads the catalogue anew.
  void refresh();
  const RewriteCatalogue* catalogue() const { return catalogue_.get(); }
  std::string version() const;

  RewritePlan plan(const std::string& sql) const;
  /// The master's values for a plan.
  OptionalValues evaluate(const RewritePlan& plan) const;

 private:
  PgConnectionPtr master_;
  PgConnectionPtr standby_;
  std::shared_ptr<const RewriteCatalogue> catalogue_;
};

RealPair& real_pair();

PgResultPtr run(PGconn* connection, const std::string& sql);
PgResultPtr run(PGconn* connection, const std::string& sql, const OptionalValues& parameters,
                const std::vector<std::uint32_t>& types);
/// All rows as one text.
std::string rows_of(const PGresult* result);
/// The names and types of the columns that a statement gives.
std::string columns_of(PGconn* connection, const std::string& sql);

}  // namespace pgtandem::testing
