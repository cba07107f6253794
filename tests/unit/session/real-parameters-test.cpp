// The goal of this test: a parameter of any type that a Parse can declare, where the statement is taken to
// name one row by it, names no second one on a real server.
#include <catch2/catch.hpp>

#include "common/protocol/messages.h"
#include "server-relay/session/unit-planner.h"
#include "server-relay/statements/classify.h"
#include "tests/unit/statements/confusable-keys.h"
#include "tests/unit/statements/real-database.h"

using namespace pgtandem;
using namespace pgtandem::testing;

namespace {

struct RealClassifier final : UnitPlanner::Classifier {
  std::shared_ptr<const StatementCatalogue> catalogue;

  std::shared_ptr<const Statement> classify(std::string_view text) override {
    return std::make_shared<const Statement>(pgtandem::classify(text, catalogue.get()));
  }
  std::uint64_t version() const override { return 1; }
  std::uint64_t current_version() const override { return 1; }
};

constexpr std::string_view kSql = "UPDATE keyed SET n = 1 WHERE k = $1";

/// As the planner judges it when it comes with the parameter's type.
bool is_local(const std::shared_ptr<const StatementCatalogue>& catalogue, std::uint32_t type) {
  RealClassifier classifier;
  classifier.catalogue = catalogue;
  UnitPlanner planner(classifier);
  std::string parse = '\0' + std::string(kSql) + '\0' + std::string("\0\1", 2);
  for (int shift = 24; shift >= 0; shift -= 8) parse += char(type >> shift);
  const std::string bind(6, '\0');
  const std::string unit = build_message('P', parse) + build_message('B', bind) +
                           build_message('E', std::string(5, '\0')) + build_message('S', {});
  return planner.plan(as_bytes(unit)).statement.row_local;
}

}  // namespace

TEST_CASE("no parameter that is proven to be a key finds two rows") {
  static constexpr const char* kValues[] = {"1",
                                            "0",
                                            "-1",
                                            "1.5",
                                            "0.1",
                                            "16777217",
                                            "9007199254740993",
                                            "NaN",
                                            "true",
                                            "a",
                                            "a ",
                                            "A",
                                            "",
                                            "{1}",
                                            "[1,2)",
                                            "2021-03-28",
                                            "2021-03-28 02:30",
                                            "2021-03-28 01:30Z",
                                            "02:30",
                                            "24:00",
                                            "1 day",
                                            "10.0.0.1",
                                            "10.0.0.0/8",
                                            "101",
                                            "pg_class",
                                            "00000000-0000-0000-0000-000000000001"};
  static constexpr const char* kExtension[] = {"CREATE EXTENSION citext"};
  RealDatabase database("parameters", kExtension);
  for (const char* object : kConfusableObjects) database.run(object);
  PGconn* connection = database.connection();
  std::vector<std::uint32_t> types{0};
  for (const auto& row : database.rows("SELECT oid FROM pg_type WHERE typtype IN ('b', 'd', 'e', 'r') AND "
                                       "typcategory <> 'A' AND (oid < 4000 OR oid >= 16384)"))
    types.push_back(std::uint32_t(std::stoul(row[0])));
  std::size_t proven = 0;
  std::size_t found = 0;
  for (const ConfusableKeys& keys : kConfusableKeys) {
    database.run("DROP TABLE IF EXISTS keyed");
    database.run(std::string("CREATE TABLE keyed (k ") + keys.type + " UNIQUE, n int)");
    database.run(std::string("INSERT INTO keyed (k) VALUES ") + keys.values);
    const auto catalogue = database.read();
    for (const std::uint32_t type : types) {
      if (!is_local(catalogue, type)) continue;
      for (const char* value : kValues) {
        PQclear(PQexec(connection, "BEGIN"));
        PGresult* result = PQexecParams(connection, kSql.data(), 1, &type, &value, nullptr, nullptr, 0);
        const std::string rows(PQcmdTuples(result));
        PQclear(result);
        PQclear(PQexec(connection, "ROLLBACK"));
        ++proven;
        found += rows == "1" ? 1 : 0;
        INFO(keys.type << " = '" << value << "' of type " << type);
        CHECK((rows.empty() || rows == "0" || rows == "1"));
      }
    }
  }
  CHECK(types.size() > 50);
  CHECK(proven > 5000);
  CHECK(found > 100);
}
