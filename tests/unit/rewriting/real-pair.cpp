#include "tests/unit/rewriting/real-pair.h"

#include <stdexcept>

#include "server-relay/service/service-connection.h"
#include "tests/unit/service/run-awaitable.h"

namespace pgtandem::testing {
namespace {

constexpr const char* kMaster = "rewriting_master";
constexpr const char* kStandby = "rewriting_standby";

constexpr const char* kObjects[] = {
    "CREATE SCHEMA other",
    "CREATE EXTENSION \"uuid-ossp\" SCHEMA other",
    "CREATE FUNCTION other.timeofday() RETURNS text LANGUAGE sql AS 'SELECT ''mine'''",
    "CREATE FUNCTION echo(timestamptz) RETURNS timestamptz VOLATILE LANGUAGE sql AS 'SELECT $1'",
    "CREATE DOMAIN stamp AS timestamptz DEFAULT now()",
    "CREATE TABLE plain (id int, a timestamptz, b timestamp, d date, t time, z timetz, s text, u uuid, "
    "f float8, UNIQUE (id))",
    "CREATE TABLE defaults (id serial, at timestamptz NOT NULL DEFAULT now(), day date DEFAULT CURRENT_DATE, "
    "u uuid DEFAULT gen_random_uuid(), r float8 DEFAULT random() * 10, c timestamptz DEFAULT "
    "clock_timestamp(), zone timestamp DEFAULT (now() AT TIME ZONE 'utc'), dom stamp, own stamp DEFAULT "
    "'2020-01-01', fixed text DEFAULT 'now()', up text DEFAULT upper(to_char(now(), 'US')), n int)",
    "CREATE TABLE \"Odd Name\" (\"a \"\"1\" int, \"at\" timestamptz DEFAULT LOCALTIMESTAMP(2))",
    "CREATE TABLE times (id int GENERATED ALWAYS AS IDENTITY, at timestamptz DEFAULT now(), n int, "
    "twice int GENERATED ALWAYS AS (n * 2) STORED)",
    "CREATE TABLE parts (id int, at timestamptz DEFAULT now()) PARTITION BY RANGE (id)",
    "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (1000)",
    "CREATE TABLE twin (id int, at timestamptz DEFAULT now())",
    "CREATE TABLE other.twin (id int)",
    "CREATE TABLE granted (id int, at timestamptz DEFAULT now())",
    "GRANT INSERT (id) ON granted TO PUBLIC",
    "CREATE TABLE ruled (id int, at timestamptz DEFAULT now())",
    "CREATE RULE r AS ON INSERT TO ruled DO ALSO NOTHING",
    "CREATE TABLE dropped (x int, id int, at timestamptz DEFAULT now())",
    "ALTER TABLE dropped DROP COLUMN x",
    "CREATE VIEW seen AS SELECT id, at FROM times",
    "CREATE TABLE extension (id uuid DEFAULT other.uuid_generate_v4(), n int)",
    "INSERT INTO plain (id, s) SELECT i, 'old' FROM generate_series(100, 110) i",
};

PgConnectionPtr make_database(const char* name) {
  TestPostgres& server = shared_postgres();
  server.sql(std::string("DROP DATABASE IF EXISTS ") + name);
  server.sql(std::string("CREATE DATABASE ") + name);
  PgConnectionPtr connection = server.connect(name);
  for (const char* object : kObjects) sql_on(connection.get(), object);
  return connection;
}

std::vector<std::vector<std::string>> service_rows(const char* sql) {
  ServiceConnection service(shared_postgres().endpoint(), {"postgres", "", "postgres"});
  auto answer = run_awaitable(service.query(kMaster, sql, {}, std::chrono::seconds(20)));
  if (!answer) throw std::runtime_error(answer.error());
  return answer->rows;
}

}  // namespace

RealPair::RealPair() : master_(make_database(kMaster)), standby_(make_database(kStandby)) {
  refresh();
}

void RealPair::on_both(const std::string& sql) const {
  sql_on(master(), sql);
  sql_on(standby(), sql);
}

void RealPair::refresh() {
  const auto functions = service_rows(kRewriteFunctionsSql);
  const auto columns = service_rows(kRewriteColumnsSql);
  const auto catalogue = RewriteCatalogue::from_rows({functions, columns});
  if (!catalogue) throw std::runtime_error(catalogue.error());
  catalogue_ = *catalogue;
}

std::string RealPair::version() const {
  return service_rows(kRewriteCatalogueVersionSql).at(0).at(0);
}

RewritePlan RealPair::plan(const std::string& sql) const {
  return rewrite_plan({.text = sql, .catalogue = catalogue()});
}

OptionalValues RealPair::evaluate(const RewritePlan& plan) const {
  if (plan.expressions().empty()) return {};
  const PgResultPtr result = run(master(), plan.evaluation());
  if (PQntuples(result.get()) != 1) throw std::runtime_error(PQresultErrorMessage(result.get()));
  OptionalValues values;
  for (int i = 0; i < PQnfields(result.get()); ++i) values.emplace_back(PQgetvalue(result.get(), 0, i));
  return values;
}

RealPair& real_pair() {
  static RealPair pair;
  return pair;
}

PgResultPtr run(PGconn* connection, const std::string& sql) {
  return PgResultPtr(PQexec(connection, sql.c_str()));
}

PgResultPtr run(PGconn* connection, const std::string& sql, const OptionalValues& parameters,
                const std::vector<std::uint32_t>& types) {
  std::vector<const char*> values;
  for (const auto& parameter : parameters) values.push_back(parameter ? parameter->c_str() : nullptr);
  return PgResultPtr(PQexecParams(connection, sql.c_str(), int(values.size()), types.data(), values.data(),
                                  nullptr, nullptr, 0));
}

std::string rows_of(const PGresult* result) {
  std::string out(PQresStatus(PQresultStatus(result)));
  out.append(PQresultErrorMessage(result));
  for (int row = 0; row < PQntuples(result); ++row) {
    out += '\n';
    for (int i = 0; i < PQnfields(result); ++i) out.append(PQgetvalue(result, row, i)).append("|");
  }
  return out;
}

std::string columns_of(PGconn* connection, const std::string& sql) {
  const PgResultPtr prepared(PQprepare(connection, "", sql.c_str(), 0, nullptr));
  const PgResultPtr described(PQdescribePrepared(connection, ""));
  std::string out(PQresultErrorMessage(prepared.get()));
  for (int i = 0; i < PQnfields(described.get()); ++i) {
    out.append(PQfname(described.get(), i)).append(" ");
    out.append(std::to_string(PQftype(described.get(), i))).append(" ");
    out.append(std::to_string(PQfmod(described.get(), i))).append(", ");
  }
  return out;
}

}  // namespace pgtandem::testing
