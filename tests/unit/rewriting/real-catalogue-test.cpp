// The goal of these tests: the catalogue of a real server tells which defaults are rewritten, and when it has
// to be read again.
#include <catch2/catch.hpp>

#include "tests/unit/rewriting/real-pair.h"

using namespace pgtandem;
using namespace pgtandem::testing;

namespace {

std::string sources_of(const char* name) {
  const RewriteTable* table = real_pair().catalogue()->table("public", name);
  if (table == nullptr) return "none";
  std::string out = table->may_name_columns ? "" : "(not to be named) ";
  for (const auto& column : table->columns) {
    out += column.name;
    if (column.rewritten) out += column.rewritten->has_once ? "=once" : "=time";
    if (column.rewritten && !column.rewritten->is_replaceable()) out += "?";
    out += ' ';
  }
  return out;
}

}  // namespace

TEST_CASE("tables whose defaults have sources are known with all their columns") {
  CHECK(sources_of("defaults") ==
        "id at=time day=time u=once r=once c=once zone=time dom=time own fixed up=time n ");
  CHECK(sources_of("times") == "id at=time n twice ");
  CHECK(sources_of("parts") == "id at=time ");
  CHECK(sources_of("parts_1") == "id at=time ");
  CHECK(sources_of("dropped") == "id at=time ");
  CHECK(sources_of("granted") == "(not to be named) id at=time ");
  CHECK(sources_of("ruled") == "(not to be named) id at=time ");
  CHECK(sources_of("plain") == "none");
  CHECK(sources_of("seen") == "none");
  CHECK(real_pair().catalogue()->relation_has_rewritten_default("", "seen"));
  CHECK_FALSE(real_pair().catalogue()->relation_has_rewritten_default("", "plain"));
  CHECK(real_pair().catalogue()->table("", "twin") == nullptr);
  CHECK(real_pair().catalogue()->relation_has_rewritten_default("", "twin"));
}

TEST_CASE("functions of the server's own are sure, and what users made is not") {
  const RewriteCatalogue& catalogue = *real_pair().catalogue();
  for (const char* name : {"now", "random", "clock_timestamp", "statement_timestamp", "gen_random_uuid"}) {
    INFO(name);
    CHECK(catalogue.home_of_function("", name, 0) == "pg_catalog");
  }
  CHECK(catalogue.home_of_function("", "uuid_generate_v4", 0) == "other");
  CHECK(catalogue.home_of_function("", "timeofday", 0) == std::nullopt);
  CHECK(catalogue.home_of_function("pg_catalog", "timeofday", 0) == "pg_catalog");
  CHECK(catalogue.home_of_function("", "random", 2) == std::nullopt);  // PostgreSQL 17
  CHECK(catalogue.home_of_function("", "uuidv7", 0) == std::nullopt);  // PostgreSQL 18
}

TEST_CASE("a temporary table of the same name makes a name uncertain") {
  RealPair& pair = real_pair();
  const PgConnectionPtr other = shared_postgres().connect("rewriting_master");
  sql_on(other.get(), "CREATE TEMP TABLE dropped (id int)");
  pair.refresh();
  CHECK(pair.catalogue()->table("", "dropped") == nullptr);
  CHECK(pair.catalogue()->table("public", "dropped") != nullptr);
  sql_on(other.get(), "DROP TABLE dropped");
  pair.refresh();
  CHECK(pair.catalogue()->table("", "dropped") != nullptr);
}

TEST_CASE("the version changes with what the catalogue tells, and not with rows") {
  const RealPair& pair = real_pair();
  std::string before = pair.version();
  const auto changes = [&](const std::string& sql) {
    INFO(sql);
    sql_on(pair.master(), sql);
    const std::string after = pair.version();
    CHECK(after != before);
    before = after;
  };
  changes("CREATE TABLE later (id int, at timestamptz)");
  changes("ALTER TABLE later ALTER at SET DEFAULT now()");
  changes("ALTER TABLE later ALTER at SET DEFAULT CURRENT_DATE");
  changes("ALTER TABLE later RENAME at TO since");
  changes("GRANT INSERT (id) ON later TO PUBLIC");
  changes("CREATE RULE r AS ON INSERT TO later DO ALSO NOTHING");
  changes("ALTER TABLE later DROP COLUMN id");
  changes("CREATE FUNCTION other.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT pg_catalog.now()'");
  changes("DROP FUNCTION other.now()");
  changes("ALTER DOMAIN stamp SET DEFAULT '2020-01-01'");
  changes("ALTER DOMAIN stamp SET DEFAULT now()");
  changes("ALTER TABLE later SET SCHEMA other");
  changes("DROP TABLE other.later");
  sql_on(pair.master(), "INSERT INTO plain (id) VALUES (999)");
  sql_on(pair.master(), "DELETE FROM plain WHERE id = 999");
  sql_on(pair.master(), "VACUUM ANALYZE plain");
  CHECK(pair.version() == before);
}
