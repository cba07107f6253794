// The goal of these tests: a column whose DEFAULT names the clock or a random value gets the master's.
#include <vector>

#include <catch2/catch.hpp>

#include "tests/unit/rewriting/rewriting-fixtures.h"

using namespace pgtandem;
using namespace pgtandem::testing;

namespace {

struct Row {
  const char* sql;
  std::string expected;
};

const std::string kTime = "(('<1>'::pg_catalog.timestamptz))";

void check_all(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    INFO(row.sql);
    CHECK(rewritten(row.sql) == row.expected);
  }
}

std::string own_values(int first) {
  return "(('<" + std::to_string(first) + ">'::pg_catalog.uuid)), ((('<" + std::to_string(first + 1) +
         ">'::pg_catalog.timestamptz) + '1 day'::interval))";
}

}  // namespace

TEST_CASE("a column left out of VALUES is added with its default") {
  check_all({
      {"INSERT INTO t (id) VALUES (1)", "INSERT INTO t (id, \"at\") VALUES (1, " + kTime + ")"},
      {"INSERT INTO public.t(id,note)VALUES(1,$1),(2,'x') RETURNING *",
       "INSERT INTO public.t(id,note, \"at\")VALUES(1,$1, " + kTime + "),(2,'x', " + kTime + ") RETURNING *"},
      {"INSERT INTO t VALUES (1)", "INSERT INTO t (\"id\", \"at\") VALUES (1, " + kTime + ")"},
      {"INSERT INTO t AS z OVERRIDING USER VALUE VALUES (1 -- one\n), (2)",
       "INSERT INTO t AS z (\"id\", \"at\") OVERRIDING USER VALUE VALUES (1 -- one\n, " + kTime + "), (2, " +
           kTime + ")"},
      {"INSERT INTO t DEFAULT VALUES", "INSERT INTO t (\"at\") VALUES (" + kTime + ")"},
      {"INSERT INTO t DEFAULT/* x */VALUES RETURNING id",
       "INSERT INTO t (\"at\") VALUES (" + kTime + ")/* x */ RETURNING id"},
      {"INSERT INTO \"Odd\" VALUES ((1))",
       "INSERT INTO \"Odd\" (\"a \"\"b\", \"day\") VALUES ((1), "
       "((('<1>'::pg_catalog.timestamptz)::pg_catalog.date)))"},
      {"INSERT INTO seq (n) VALUES (1)",
       "INSERT INTO seq (n, \"id\") VALUES (1, (((nextval('public.s'::regclass))::text || "
       "(('<1>'::pg_catalog.timestamptz))::text)))"},
      {"INSERT INTO t (id, at) VALUES (1, '2020-01-01')", "same"},
      {"INSERT INTO t VALUES (1, NULL)", "same"},
      {"INSERT INTO t VALUES (1, NULL, 'x', 4)", "same [column default]"},  // the server refuses it
      {"INSERT INTO harmless DEFAULT VALUES", "same"},
      {"INSERT INTO unknown DEFAULT VALUES", "same"},
      {"WITH a AS (INSERT INTO t (id) VALUES (1) RETURNING id) INSERT INTO log SELECT id FROM a",
       "WITH a AS (INSERT INTO t (id, \"at\") VALUES (1, " + kTime +
           ") RETURNING id) INSERT INTO log (\"at\", \"line\") SELECT " + kTime + ", id FROM a"},
  });
}

TEST_CASE("each row has random values and a clock of its own") {
  check_all({
      {"INSERT INTO v (n) VALUES (1), (2)",
       "INSERT INTO v (n, \"id\", \"at\") VALUES (1, " + own_values(1) + "), (2, " + own_values(3) + ")"},
      {"INSERT INTO v DEFAULT VALUES", "INSERT INTO v (\"id\", \"at\") VALUES (" + own_values(1) + ")"},
      {"INSERT INTO v SELECT", "same [column default]"},
      {"INSERT INTO v (n) SELECT 1", "same [column default]"},
  });
  CHECK(rewritten("INSERT INTO v (n) VALUES (1)", {.volatile_values = false}) == "same [column default]");
  CHECK(rewritten("INSERT INTO t (id) VALUES (1)", {.time = false}) == "same [column default]");
  CHECK(rewritten("INSERT INTO t (id) VALUES (1)", {.defaults = false}) == "same [column default]");
}

TEST_CASE("DEFAULT written as a value becomes the default's expression") {
  check_all({
      {"INSERT INTO t VALUES (DEFAULT, DEFAULT, DEFAULT), (1, '2020-01-01', 'x')",
       "INSERT INTO t VALUES (DEFAULT, " + kTime + ", DEFAULT), (1, '2020-01-01', 'x')"},
      {"INSERT INTO t (note, at) VALUES ('x', default)",
       "INSERT INTO t (note, at) VALUES ('x', " + kTime + ")"},
      {"UPDATE t SET at = DEFAULT, note = DEFAULT", "UPDATE t SET at = " + kTime + ", note = DEFAULT"},
      {"UPDATE public.t AS z SET (note, at) = ('x', DEFAULT)",
       "UPDATE public.t AS z SET (note, at) = ('x', " + kTime + ")"},
      {"INSERT INTO t VALUES (1, NULL) ON CONFLICT (id) DO UPDATE SET at = DEFAULT",
       "INSERT INTO t VALUES (1, NULL) ON CONFLICT (id) DO UPDATE SET at = " + kTime},
      {"UPDATE v SET at = DEFAULT", "same [column default]"},
      {"UPDATE v SET n = DEFAULT", "same"},
      {"MERGE INTO t USING x ON true WHEN MATCHED THEN UPDATE SET at = DEFAULT",
       "MERGE INTO t USING x ON true WHEN MATCHED THEN UPDATE SET at = " + kTime},
      {"MERGE INTO t USING x ON true WHEN NOT MATCHED THEN INSERT (id) VALUES (1)", "same [column default]"},
      {"MERGE INTO t USING x ON true WHEN NOT MATCHED THEN INSERT (at) VALUES (DEFAULT)",
       "same [column default]"},
  });
}

TEST_CASE("a query of an INSERT gets one more column in front, where that changes nothing else") {
  check_all({
      {"INSERT INTO t (id) SELECT a FROM x ORDER BY b LIMIT 3",
       "INSERT INTO t (\"at\", id) SELECT " + kTime + ", a FROM x ORDER BY b LIMIT 3"},
      {"INSERT INTO t(id)SELECT(a)FROM x", "INSERT INTO t(\"at\", id)SELECT" + kTime + ", (a)FROM x"},
      {"INSERT INTO t (id) SELECT * FROM x", "INSERT INTO t (\"at\", id) SELECT " + kTime + ", * FROM x"},
      {"INSERT INTO t SELECT a FROM x", "INSERT INTO t (\"at\", \"id\") SELECT " + kTime + ", a FROM x"},
      {"INSERT INTO t (id) (SELECT count(*) FROM x GROUP BY b)",
       "INSERT INTO t (\"at\", id) (SELECT " + kTime + ", count(*) FROM x GROUP BY b)"},
      {"INSERT INTO t (id) WITH w AS (VALUES (1)) SELECT column1 FROM w",
       "INSERT INTO t (\"at\", id) WITH w AS (VALUES (1)) SELECT " + kTime + ", column1 FROM w"},
      {"INSERT INTO t SELECT * FROM x", "same [column default]"},
      {"INSERT INTO t (id) SELECT DISTINCT a FROM x", "same [column default]"},
      {"INSERT INTO t (id) SELECT a FROM x UNION SELECT b FROM x", "same [column default]"},
      {"INSERT INTO t (id) SELECT a FROM x ORDER BY 1", "same [column default]"},
      {"INSERT INTO t (id) SELECT a FROM x GROUP BY 1", "same [column default]"},
      {"INSERT INTO t (id) TABLE x", "same [column default]"},
      {"INSERT INTO seq (n) SELECT 1", "same [column default]"},  // the order of nextval
  });
}

TEST_CASE("where it is not sure that the column may be named, it is noted") {
  check_all({
      {"INSERT INTO granted (id) VALUES (1)", "same [column default]"},
      {"INSERT INTO granted (id, at) VALUES (1, DEFAULT)",
       "INSERT INTO granted (id, at) VALUES (1, " + kTime + ")"},
      {"INSERT INTO twin (id) VALUES (1)", "same [column default]"},
      {"INSERT INTO public.twin (id) VALUES (1)",
       "INSERT INTO public.twin (id, \"at\") VALUES (1, " + kTime + ")"},
      {"INSERT INTO other.twin (id) VALUES (1)", "same"},
      {"INSERT INTO strange (id) VALUES (1)", "same [column default]"},
      {"INSERT INTO t (gone) VALUES (1)", "same [column default]"},
      {"INSERT INTO t (id) (VALUES (1))", "same [column default]"},
      {"INSERT INTO t (id, note) VALUES (1, now())",
       "INSERT INTO t (id, note, \"at\") VALUES (1, ('<1>'::pg_catalog.timestamptz), " + kTime + ")"},
      {"INSERT INTO seen (id) VALUES (1)", "same [column default]"},
      {"PREPARE p AS INSERT INTO t (id) VALUES ($1)", "same [column default]"},
      {"PREPARE p AS INSERT INTO t (id, at) VALUES ($1, $2)", "same"},
      {"COPY (INSERT INTO t (id) VALUES (1) RETURNING id) TO STDOUT", "same [column default]"},
      {"COPY t (id) FROM STDIN", "same [column default]"},
      {"COPY t (id, at) FROM STDIN", "same"},
      {"COPY t FROM STDIN", "same"},
  });
}

TEST_CASE("places behind an added column are told as places of the original") {
  const std::string sql = "INSERT INTO t (id) VALUES (1), (wrong)";
  const auto text = plan_of(sql).parameter_text(0);
  CHECK(text.positions.original(text.text.find("wrong") + 1) == sql.find("wrong") + 1);
  CHECK(text.positions.original(text.text.find("\"at\"") + 1) == sql.find(") VALUES") + 1);
}
