// The goal of these tests: values as a real server writes them in binary are taken and given back as equal
// values by a second one whose oids differ.
#include <catch2/catch.hpp>

#include "server-relay/oids/oid-rewriter.h"
#include "server-relay/oids/value-canonicaliser.h"
#include "server-relay/service/service-connection.h"
#include "tests/unit/oids/oid-fixtures.h"
#include "tests/unit/oids/raw-frontend.h"
#include "tests/unit/service/run-awaitable.h"
#include "tests/unit/service/test-postgres.h"

using namespace pgtandem;
using namespace pgtandem::testing;

namespace {

constexpr const char* kMoods = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s \"fine\"')";
constexpr const char* kSchema = "CREATE SCHEMA \"Plant 1\"";
constexpr const char* kLevel = "CREATE TYPE \"Plant 1\".level AS ENUM ('low', 'high')";

/// What both databases hold. The order of the first three differs, so that all oids do.
void make_objects(TestPostgres& server, const std::string& database, bool reversed) {
  server.sql("DROP DATABASE IF EXISTS " + database);
  server.sql("CREATE DATABASE " + database);
  const auto connection = server.connect(database);
  const auto run = [&](const std::string& statement) { sql_on(connection.get(), statement); };
  if (reversed) {
    run("CREATE TYPE spare AS ENUM ('x')");
    run("CREATE TABLE _mood (shifts int)");  // the array of mood gets another name here
  }
  run(kSchema);
  for (const char* statement : reversed ? std::array{kLevel, kMoods} : std::array{kMoods, kLevel})
    run(statement);
  run("CREATE TYPE reading AS (at int, m mood, levels \"Plant 1\".level[], note text)");
  run("CREATE TYPE station AS (name text, main reading, all_readings reading[])");
  run("CREATE TYPE plain_pair AS (a int, b text)");
  run("CREATE DOMAIN moods AS mood[] CHECK (array_length(VALUE, 1) < 9)");
  run("CREATE DOMAIN checked_reading AS reading CHECK ((VALUE).at > 0)");
  run("CREATE DOMAIN twice AS checked_reading");
  run("CREATE TYPE mood_range AS RANGE (subtype = mood)");
  run("CREATE TYPE reading_range AS RANGE (subtype = reading)");
  run("CREATE TABLE tags (id int, kind mood, kinds moods, spans reading_range[])");
  run("CREATE TYPE tag_log AS (entry tags, type regtype)");
  if (reversed) run("DROP TABLE _mood");
  run("CREATE FUNCTION greet(mood) RETURNS text LANGUAGE sql AS $$ SELECT 'mood ' || $1::text $$");
  run("CREATE FUNCTION greet(reading[]) RETURNS text LANGUAGE sql AS $$ SELECT 'readings ' || $1::text $$");
  run("CREATE FUNCTION greet(int) RETURNS text LANGUAGE sql AS $$ SELECT 'int' $$");
}

/// Loaded once: both databases and their catalogues, read as the relay reads them.
struct Pair {
  Pair() : server(shared_postgres()) {
    make_objects(server, "oids_master", false);
    make_objects(server, "oids_standby", true);
    master = catalogue("oids_master");
    standby = catalogue("oids_standby");
    map = std::make_shared<const OidMap>(master, standby);
  }

  OidCatalogue catalogue(const std::string& database) const {
    ServiceConnection service(server.endpoint(), {"postgres", "", "postgres"});
    const auto rows = [&](const char* sql) {
      auto answer = run_awaitable(service.query(database, sql, {}, std::chrono::seconds(20)));
      if (!answer) throw std::runtime_error(answer.error());
      return answer->rows;
    };
    auto read = OidCatalogue::from_rows(rows(kCatalogueTypesSql), rows(kCatalogueFunctionsSql));
    if (!read) throw std::runtime_error(read.error());
    return *read;
  }

  Oid oid(const std::string& type, const std::string& database = "oids_master") const {
    return Oid(std::stoul(server.sql("SELECT '" + type + "'::regtype::oid", database)));
  }

  TestPostgres& server;
  OidCatalogue master;
  OidCatalogue standby;
  std::shared_ptr<const OidMap> map;
};

Pair& pair() {
  static Pair both;
  return both;
}

std::string execute_and_sync() {
  return message('E', ByteWriter().c_string("").u32(0).str()) + message('S', "");
}

/// Parse and Bind without parameters; all results in binary.
std::string binary_query(const std::string& sql) {
  return parse_message("", sql, {}) + bind_message("", {}, {}) + execute_and_sync();
}

std::string rewritten(StandbyRewriter& rewriter, const std::string& text) {
  std::string out;
  const Rewriting result = rewriter.rewrite(as_bytes(text), out);
  REQUIRE(result != Rewriting::unknown_oid);
  return result == Rewriting::rewritten ? out : text;
}

std::string canonical(const std::string& field) {
  std::string out;
  ValueCanonicaliser(pair().map).feed(as_bytes(field), OidSide::standby, [&](ByteSpan piece) {
    out.append(as_text(piece));
  });
  return out;
}

struct Sample {
  std::string type;
  std::string value;     ///< an SQL expression of that type
  bool has_oids = true;  ///< its binary form holds user-defined oids
};

const std::string kReading = "ROW(1, 'ok', '{low,NULL,high}', NULL)::reading";

const std::vector<Sample> kSamples{
    {"mood", "'it''s \"fine\"'::mood", false},
    {"plain_pair", "ROW(1, 'x')::plain_pair", false},
    {"mood_range", "'[sad,ok)'::mood_range", false},
    {"mood[]", "'{sad,NULL,ok}'::mood[]"},
    {"mood[]", "'{}'::mood[]"},
    {"mood[]", "'{{sad,ok},{ok,sad}}'::mood[]"},
    {"mood[]", "'[3:4]={sad,ok}'::mood[]"},
    {"\"Plant 1\".level[]", "'{low}'::\"Plant 1\".level[]"},
    {"moods", "'{sad,sad}'::moods"},
    {"plain_pair[]", "ARRAY[ROW(1, 'x')::plain_pair, NULL]"},
    {"reading", kReading},
    {"reading[]", "ARRAY[" + kReading + ", NULL, " + kReading + "]"},
    {"checked_reading", kReading + "::checked_reading"},
    {"twice", kReading + "::twice"},
    {"station", "ROW('s', " + kReading + ", ARRAY[" + kReading + "])::station"},
    {"station[]", "ARRAY[ROW('s', NULL, ARRAY[" + kReading + ", NULL])::station]"},
    {"reading_range", "reading_range(" + kReading + ", ROW(2, 'sad', NULL, 'n')::reading, '[)')"},
    {"reading_range", "reading_range(NULL, " + kReading + ")"},
    {"reading_range", "'empty'::reading_range", false},
    {"reading_range[]", "ARRAY[reading_range(" + kReading + ", NULL), 'empty'::reading_range]"},
    {"reading_multirange", "multirange(reading_range(" + kReading + ", NULL))"},
    {"mood_multirange", "'{[sad,sad],(ok,)}'::mood_multirange", false},
    {"tags", "ROW(7, 'ok', '{sad}', ARRAY[reading_range(" + kReading + ", NULL)])::tags"},
    {"tag_log", "ROW(ROW(7, 'ok', '{sad}', NULL)::tags, 'reading'::regtype)::tag_log"},
    {"regtype", "'station'::regtype"},
    {"regprocedure", "'greet(reading[])'::regprocedure"},
};

}  // namespace

TEST_CASE("the catalogues of two real databases pair completely, and survive the way between relays") {
  CHECK_FALSE(pair().map->empty());
  for (const auto& type : pair().master.types) {
    INFO(type.schema << "." << type.name);
    const Oid other = pair().map->translate(OidSide::master, OidKind::type, type.oid);
    CHECK(other != 0);
    CHECK(other != type.oid);
  }
  for (const auto& function : pair().master.functions) {
    CHECK(pair().map->translate(OidSide::master, OidKind::function, function.oid) != 0);
  }
  CHECK(pair().map->translate(OidSide::master, OidKind::type, pair().oid("mood[]")) ==
        pair().oid("mood[]", "oids_standby"));
  CHECK(*OidCatalogue::from_json(pair().master.to_json()) == pair().master);
}

TEST_CASE("temporary objects are no part of a catalogue") {
  const auto connection = pair().server.connect("oids_master");
  sql_on(connection.get(), "CREATE TEMPORARY TABLE fleeting (m mood)");
  CHECK(pair().catalogue("oids_master") == pair().master);
}

TEST_CASE("the standby takes every rewritten parameter and answers with the master's value") {
  RawFrontend master(pair().server.endpoint(), "oids_master");
  RawFrontend standby(pair().server.endpoint(), "oids_standby");
  for (const Sample& sample : kSamples) {
    INFO(sample.type << " " << sample.value);
    const auto original = first_row(
        master.exchange(binary_query("SELECT v, v::text FROM (SELECT " + sample.value + " AS v) q")));
    const std::string parse = parse_message("s", "SELECT $1, $1::text", {pair().oid(sample.type)});
    const std::string bind = bind_message("s", {1}, {item(original.at(0))});
    const std::string close = close_message('S', "s");

    StandbyRewriter rewriter;
    rewriter.use(pair().map);
    const std::string new_parse = rewritten(rewriter, parse);
    const std::string new_bind = rewritten(rewriter, bind);
    const auto answer = standby.exchange(new_parse + new_bind + execute_and_sync());
    CHECK(error_of(answer).empty());
    const auto row = first_row(answer);
    CHECK(row.at(1) == original.at(1));
    standby.exchange(close + message('S', ""));

    // As they are, the master's oids mean nothing, or something else, on the standby.
    const auto naive = standby.exchange(parse + bind + execute_and_sync());
    CHECK((!error_of(naive).empty() || sample.type.starts_with("reg")));
    standby.exchange(close + message('S', ""));
  }
}

TEST_CASE("the standby's binary replies are the master's once they are canonical") {
  RawFrontend master(pair().server.endpoint(), "oids_master");
  RawFrontend standby(pair().server.endpoint(), "oids_standby");
  for (const Sample& sample : kSamples) {
    if (sample.type.starts_with("reg")) continue;  // four bytes: nothing to recognise them by
    INFO(sample.type << " " << sample.value);
    // A range or multirange is recognised within a composite.
    const bool wrapped = sample.type.find("range") != std::string::npos && !sample.type.ends_with("[]");
    const std::string sql = wrapped ? "SELECT ROW(1, " + sample.value + ")" : "SELECT " + sample.value;
    const std::string ours = first_row(master.exchange(binary_query(sql))).at(0);
    const std::string theirs = first_row(standby.exchange(binary_query(sql))).at(0);
    CHECK((ours != theirs) == (sample.has_oids || wrapped));
    CHECK(canonical(theirs) == ours);
  }
}

TEST_CASE("types that the frontend leaves open are taken from the master's ParameterDescription") {
  RawFrontend master(pair().server.endpoint(), "oids_master");
  RawFrontend standby(pair().server.endpoint(), "oids_standby");
  const std::string parse = parse_message("s", "SELECT $1::station, $2::int, ($1::station)::text", {});
  const std::string describe = message('D', ByteWriter().u8('S').c_string("s").str());
  const auto described = master.exchange(parse + describe + message('S', ""));
  standby.exchange(parse + describe + message('S', ""));
  StandbyRewriter rewriter;
  rewriter.use(pair().map);
  CHECK(rewritten(rewriter, parse) == parse);
  REQUIRE(described.at(1).type == 't');
  const auto types = parse_parameter_description(as_bytes(message('t', described.at(1).body)));
  REQUIRE(types);
  rewriter.on_parameter_description("s", *types);

  const auto original =
      first_row(master.exchange(binary_query("SELECT v, v::text FROM (SELECT ROW('s', " + kReading +
                                             ", ARRAY[" + kReading + "])::station AS v) q")));
  const std::string bind = rewritten(rewriter, bind_message("s", {1}, {item(original.at(0)), item(int4(5))}));
  const auto row = first_row(standby.exchange(bind + execute_and_sync()));
  CHECK(row.at(2) == original.at(1));
}

TEST_CASE("FunctionCall reaches the same function with the same value") {
  RawFrontend master(pair().server.endpoint(), "oids_master");
  RawFrontend standby(pair().server.endpoint(), "oids_standby");
  const Oid function =
      Oid(std::stoul(pair().server.sql("SELECT 'greet(reading[])'::regprocedure::oid", "oids_master")));
  const std::string value = first_row(master.exchange(binary_query("SELECT ARRAY[" + kReading + "]"))).at(0);
  const std::string call = function_call_message(function, {1}, {item(value)});
  StandbyRewriter rewriter;
  rewriter.use(pair().map);
  const auto ours = master.exchange(call);
  const auto theirs = standby.exchange(rewritten(rewriter, call));
  REQUIRE(error_of(ours).empty());
  REQUIRE(error_of(theirs).empty());
  CHECK(ours.at(0).type == 'V');
  CHECK(ours.at(0).body == theirs.at(0).body);
  CHECK_FALSE(error_of(standby.exchange(call)).empty());
}

TEST_CASE("a type made after the catalogues were read is unknown, and known after they are read again") {
  auto& server = pair().server;
  for (const char* database : {"oids_master", "oids_standby"}) {
    server.sql("DROP TYPE IF EXISTS late", database);
    server.sql("CREATE TYPE late AS (m mood)", database);
  }
  StandbyRewriter rewriter;
  rewriter.use(pair().map);
  const std::string parse = parse_message("", "SELECT $1", {pair().oid("late")});
  std::string out;
  CHECK(rewriter.rewrite(as_bytes(parse), out) == Rewriting::unknown_oid);
  CHECK(rewriter.unknown() == pair().oid("late"));
  rewriter.use(
      std::make_shared<const OidMap>(pair().catalogue("oids_master"), pair().catalogue("oids_standby")));
  CHECK(rewriter.rewrite(as_bytes(parse), out) == Rewriting::rewritten);
  CHECK(out == parse_message("", "SELECT $1", {pair().oid("late", "oids_standby")}));
  for (const char* database : {"oids_master", "oids_standby"}) server.sql("DROP TYPE late", database);
}
