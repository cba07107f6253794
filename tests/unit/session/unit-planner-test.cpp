// The goal of these tests: whatever a frontend does with names, no unit passes for less than what it runs.
#include "server-relay/session/unit-planner.h"

#include <random>
#include <stdexcept>

#include <catch2/catch.hpp>

#include "common/protocol/messages.h"
#include "server-relay/statements/classify.h"

using namespace pgtandem;
using Kind = StatementKind;
using Completeness = UnitPlan::Completeness;

namespace {

using Rows = std::vector<std::vector<std::string>>;

/// Table t with the key id, table h without one; pure() reads, writes() writes.
std::shared_ptr<const StatementCatalogue> catalogue(bool with_key = true) {
  const Rows functions{{"public", "pure", "s", "f"}, {"public", "writes", "v", "f"}};
  const Rows relations{{"public", "t", "r", "f", ""}, {"public", "h", "r", "f", ""}};
  const Rows keys{{"public", "t", "t", with_key ? "id\n" : "", "t", ""}, {"public", "h", "t", "", "t", ""}};
  auto read = StatementCatalogue::from_rows({functions, {}, {}, relations, keys});
  if (!read) throw std::runtime_error(read.error());
  return *read;
}

/// Classifies by the catalogue that it is given. What it says while there is none is worth nothing later.
struct FakeClassifier final : UnitPlanner::Classifier {
  std::shared_ptr<const StatementCatalogue> known = catalogue();
  std::uint64_t current = 1;
  int asked = 0;

  std::shared_ptr<const Statement> classify(std::string_view text) override {
    ++asked;
    return std::make_shared<const Statement>(pgtandem::classify(text, known.get()));
  }
  std::uint64_t version() const override { return known == nullptr ? 0 : current; }
  std::uint64_t current_version() const override { return version(); }
};

std::string int16(std::uint16_t value) {
  return {char(value >> 8), char(value & 0xFF)};
}
std::string int32(std::uint32_t value) {
  return int16(std::uint16_t(value >> 16)) + int16(std::uint16_t(value & 0xFFFF));
}
std::string text(std::string_view words) {
  return std::string(words) + '\0';
}
std::string query(std::string_view sql) {
  return build_message('Q', text(sql));
}
std::string parse(std::string_view name, std::string_view sql, const std::vector<std::uint32_t>& types = {}) {
  std::string body = text(name) + text(sql) + int16(std::uint16_t(types.size()));
  for (const std::uint32_t type : types) body += int32(type);
  return build_message('P', body);
}
std::string bound(std::string_view portal, std::string_view name,
                  const std::vector<std::string>& values = {}) {
  std::string body = text(portal) + text(name) + int16(0) + int16(std::uint16_t(values.size()));
  for (const std::string& value : values) body += int32(std::uint32_t(value.size())) + value;
  return build_message('B', body + int16(0));
}
std::string execute(std::string_view portal = "", std::uint32_t most_rows = 0) {
  return build_message('E', text(portal) + int32(most_rows));
}
std::string closed(char what, std::string_view name) {
  return build_message('C', what + text(name));
}
const std::string kSync = build_message('S', {});
const std::string kFlush = build_message('H', {});

struct Rig {
  FakeClassifier classifier;
  UnitPlanner planner{classifier};

  UnitPlan plan(const std::string& bytes) { return planner.plan(as_bytes(bytes)); }
  Kind kind(const std::string& bytes) {
    const UnitPlan found = plan(bytes);
    REQUIRE(found.completeness == Completeness::whole);
    REQUIRE(found.size == bytes.size());
    return found.statement.kind;
  }
  /// Of a prepared statement that is bound and executed.
  UnitStatement run(std::string_view name, const std::vector<std::string>& values = {}) {
    return plan(bound("", name, values) + execute() + kSync).statement;
  }
  Kind run_kind(std::string_view name) { return run(name).kind; }
  void prepare(std::string_view name, std::string_view sql, const std::vector<std::uint32_t>& types = {}) {
    REQUIRE(kind(parse(name, sql, types) + kSync) == Kind::session);
  }
};

constexpr const char* kLocalUpdate = "UPDATE t SET n = n + 1 WHERE id = $1";

}  // namespace

TEST_CASE("an Execute that asks for so many rows leaves its portal open") {
  Rig rig;
  const std::string unit = parse("", "SELECT 1") + bound("p", "");
  CHECK_FALSE(rig.plan(unit + execute("p") + kSync).in_parts);
  CHECK(rig.plan(unit + execute("p", 10) + kSync).in_parts);
  CHECK(rig.plan(unit + build_message('E', text("p")) + kSync).in_parts);  // broken off
}

TEST_CASE("a unit ends with the message that ReadyForQuery answers, and not before it is there") {
  const std::string unit =
      parse("", "SELECT 1") + bound("", "") + build_message('D', text("P")) + execute() + kSync;
  for (std::size_t size = 0; size < unit.size(); ++size) {
    Rig rig;
    INFO(size);
    CHECK(rig.plan(unit.substr(0, size)).completeness == Completeness::incomplete);
    CHECK(rig.classifier.asked == 0);
  }
  Rig rig;
  const UnitPlan plan = rig.plan(unit + query("SELECT writes()"));
  CHECK(plan.completeness == Completeness::whole);
  CHECK(plan.size == unit.size());
  CHECK(plan.extended);
  CHECK(plan.executes == 1);
  CHECK(plan.statement.kind == Kind::read);
}

TEST_CASE("what was incomplete is not remembered") {
  Rig rig;
  rig.prepare("s", "SELECT writes()");
  const std::string half = closed('S', "s") + parse("s", "SELECT 1");
  CHECK(rig.plan(half).completeness == Completeness::incomplete);
  CHECK(rig.run_kind("s") == Kind::write);
}

TEST_CASE("a simple Query is the statement that it holds, up to its zero") {
  Rig rig;
  CHECK(rig.kind(query("SELECT 1")) == Kind::read);
  CHECK(rig.kind(query("SELECT writes()")) == Kind::write);
  CHECK(rig.kind(query("COMMIT")) == Kind::commit);
  CHECK(rig.kind(query("")) == Kind::empty);
  CHECK(rig.kind(query("SELECT 1; SELECT 2")) == Kind::opaque);
  CHECK(rig.kind(build_message('Q', std::string("SELECT 1\0; SELECT writes()", 26))) == Kind::read);
  CHECK(rig.kind(build_message('Q', "SELECT writes()")) == Kind::write);
  CHECK(rig.kind(build_message('Q', "")) == Kind::empty);
  CHECK(rig.kind(build_message('F', "anything")) == Kind::opaque);
  const UnitPlan plan = rig.plan(query("UPDATE t SET n = 1 WHERE id = 7"));
  CHECK_FALSE(plan.extended);
  CHECK(plan.statement.row_local);
  CHECK(plan.statement.row_key != 0);
  CHECK(plan.statement.row_key != rig.plan(query("UPDATE t SET n = 1 WHERE id = 8")).statement.row_key);
  CHECK(plan.statement.row_key == rig.plan(query("DELETE FROM t WHERE id = 7")).statement.row_key);
}

TEST_CASE("a frontend that flushes and waits is not waited for") {
  Rig rig;
  const std::string begin = parse("", "SELECT writes()") + bound("", "");
  CHECK(rig.plan(begin).completeness == Completeness::incomplete);
  const UnitPlan open = rig.plan(begin + kFlush);
  CHECK(open.completeness == Completeness::open);
  CHECK(open.executes == 0);
  const std::string body = text("") + int32(0);
  CHECK(rig.planner.executed(as_bytes(body)).kind == Kind::write);
  CHECK(rig.plan(begin + execute() + kFlush).statement.kind == Kind::write);
  CHECK(rig.plan(begin + kFlush + execute()).completeness == Completeness::incomplete);
}

TEST_CASE("several statements of a unit are a read if each is one, and may commit inside otherwise") {
  Rig rig;
  const auto pipeline = [&](std::initializer_list<const char*> texts) {
    std::string unit;
    for (const char* sql : texts) unit += parse("", sql) + bound("", "") + execute();
    return rig.plan(unit + kSync).statement;
  };
  CHECK(pipeline({"SELECT 1", "SHOW ALL", "SET x.y = 1"}).kind == Kind::read);
  CHECK(pipeline({"SELECT 1", "SELECT writes()"}).kind == Kind::opaque);
  CHECK(pipeline({"UPDATE t SET n = 1 WHERE id = 1", "UPDATE t SET n = 1 WHERE id = 2"}).kind ==
        Kind::opaque);
  CHECK(pipeline({"SELECT 1", "COMMIT"}).kind == Kind::opaque);
  CHECK(pipeline({"BEGIN", "SELECT 1"}).kind == Kind::opaque);
  const UnitStatement two = pipeline({"UPDATE t SET n = 1 WHERE id = 1", "UPDATE t SET n = 1 WHERE id = 1"});
  CHECK_FALSE(two.row_local);
  CHECK(two.row_key == 0);
  CHECK(two.facts == nullptr);
  CHECK(pipeline({"SELECT 1", "VACUUM"}).refuses_block);
  CHECK(pipeline({"CREATE TABLE z ()", "SELECT 1"}).changes_catalogue);
  CHECK(pipeline({"SELECT 1", "CREATE ROLE z"}).shared_objects);
  CHECK(pipeline({"SELECT 1", "SET lock_timeout = 1"}).names_settings);
  CHECK(pipeline({"SELECT 1", "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE"})
            .names_serializable);
  CHECK(rig.kind(parse("", "SELECT 1") + query("SELECT writes()")) == Kind::write);
}

TEST_CASE("an Execute is what its portal was bound to, whatever has become of the statement") {
  Rig rig;
  rig.prepare("w", "SELECT writes()");
  rig.prepare("r", "SELECT 1");
  CHECK(rig.run_kind("w") == Kind::write);
  CHECK(rig.run_kind("r") == Kind::read);
  CHECK(rig.plan(bound("p", "w") + closed('S', "w") + parse("w", "SELECT 1") + execute("p") + kSync)
            .statement.kind == Kind::write);
  CHECK(rig.plan(bound("p2", "r") + bound("", "w") + execute("p2") + kSync).statement.kind != Kind::write);
}

TEST_CASE("what is not known of a name may commit") {
  Rig rig;
  CHECK(rig.run_kind("unheard") == Kind::opaque);
  CHECK(rig.kind(execute("unheard") + kSync) == Kind::opaque);
  CHECK(rig.kind(query("EXECUTE unheard")) == Kind::opaque);
  CHECK(rig.kind(query("FETCH 1 FROM unheard")) == Kind::write);
  rig.prepare("s", "SELECT 1");
  CHECK(rig.kind(closed('S', "s") + kSync) == Kind::session);
  CHECK(rig.run_kind("s") == Kind::opaque);
  CHECK(rig.kind(parse("s", "SELECT 1") + bound("p", "s") + closed('P', "p") + execute("p") + kSync) ==
        Kind::opaque);
}

TEST_CASE("behind a Parse that nobody could read every name may be another's") {
  Rig rig;
  rig.prepare("", "SELECT 1");
  rig.prepare("kept", "SELECT 1");
  rig.planner.forget();
  CHECK(rig.run_kind("") == Kind::opaque);
  CHECK(rig.run_kind("kept") == Kind::opaque);
}

TEST_CASE("a name that is given twice is neither of the two") {
  Rig rig;
  rig.prepare("s", "SELECT 1");
  rig.prepare("s", "SELECT writes()");  // fails, or a Close in between was not seen
  CHECK(rig.run_kind("s") == Kind::opaque);
  rig.prepare("", "SELECT 1");
  rig.prepare("", "SELECT writes()");  // replaces it
  CHECK(rig.run_kind("") == Kind::write);
  rig.prepare("", "COMMIT");
  CHECK(rig.run_kind("") == Kind::commit);
}

TEST_CASE("a second text of the same kind gives a name nothing that the first may not have") {
  Rig rig;
  rig.prepare("s", "UPDATE t SET n = 1");
  rig.prepare("s", kLocalUpdate);  // if the first one is still there this fails, which is told
  rig.planner.on_error();
  CHECK(rig.run_kind("s") == Kind::opaque);
  CHECK_FALSE(rig.run("s", {"1"}).row_local);
}

TEST_CASE("what a failed unit was to prepare or to close may be there or not") {
  Rig rig;
  rig.prepare("s", "SELECT writes()");
  CHECK(rig.kind(closed('S', "s") + parse("s", "SELECT 1") + kSync) == Kind::session);
  rig.planner.on_error();
  CHECK(rig.run_kind("s") == Kind::opaque);
  rig.prepare("kept", "SELECT 1");
  CHECK(rig.kind(query("SELECT 1/0")) == Kind::read);
  rig.planner.on_error();
  CHECK(rig.run_kind("kept") == Kind::read);
  CHECK(rig.kind(query("DEALLOCATE kept")) == Kind::session);
  rig.planner.on_error();
  CHECK(rig.run_kind("kept") == Kind::opaque);
  CHECK(rig.kind(query("PREPARE q AS SELECT 1")) == Kind::session);
  rig.planner.on_error();
  CHECK(rig.kind(query("EXECUTE q")) == Kind::opaque);
}

TEST_CASE("a portal that a failed unit was to replace may still be the old one") {
  Rig rig;
  rig.prepare("w", "SELECT * FROM t WHERE n = 1 FOR UPDATE");
  rig.prepare("r", "SELECT 1");
  CHECK(rig.kind(bound("p", "w") + kSync) == Kind::session);
  CHECK(rig.kind(parse("", "SELEC") + closed('P', "p") + bound("p", "r") + kSync) == Kind::session);
  rig.planner.on_error();  // at the Parse; a ROLLBACK TO brings p back
  CHECK(rig.kind(execute("p") + kSync) == Kind::opaque);
  rig.planner.on_transaction_end();
  CHECK(rig.kind(query("DECLARE c CURSOR FOR SELECT writes()")) == Kind::write);
  CHECK(rig.kind(query("CLOSE c")) == Kind::session);
  CHECK(rig.kind(query("DECLARE c CURSOR FOR SELECT 1")) == Kind::read);
  rig.planner.on_error();
  CHECK(rig.kind(query("FETCH 1 FROM c")) != Kind::read);
}

TEST_CASE("a portal that has begun to run cannot be tried again") {
  Rig rig;
  rig.prepare("w", "SELECT * FROM t WHERE id = $1 FOR UPDATE");
  const UnitStatement first = rig.plan(bound("p", "w", {"1"}) + execute("p") + kSync).statement;
  CHECK(first.kind == Kind::write);
  CHECK(first.row_local);
  const UnitStatement second = rig.plan(execute("p") + kSync).statement;
  CHECK(second.kind == Kind::copy_in);
  CHECK_FALSE(second.row_local);
  const UnitStatement fetched = rig.plan(query("FETCH 1 FROM p")).statement;
  CHECK(fetched.kind == Kind::copy_in);
  CHECK_FALSE(fetched.row_local);
  CHECK(rig.kind(query("DECLARE c CURSOR FOR SELECT * FROM t FOR UPDATE")) == Kind::write);
  CHECK(rig.kind(query("FETCH 1 FROM c")) == Kind::copy_in);
  CHECK(rig.kind(query("MOVE 1 FROM c")) == Kind::copy_in);
  rig.prepare("r", "SELECT * FROM t");
  CHECK(rig.kind(bound("rp", "r") + execute("rp") + kSync) == Kind::read);
  CHECK(rig.kind(execute("rp") + kSync) == Kind::read);
}

TEST_CASE("statements and cursors of SQL share their names with those of the protocol") {
  Rig rig;
  CHECK(rig.kind(query("PREPARE q AS SELECT 1")) == Kind::session);
  CHECK(rig.run_kind("q") == Kind::read);
  CHECK(rig.kind(query("EXECUTE q")) == Kind::read);
  CHECK(rig.kind(query("EXECUTE Q")) == Kind::read);
  CHECK(rig.kind(query("EXECUTE \"Q\"")) == Kind::opaque);
  CHECK(rig.kind(query("EXECUTE q(writes())")) == Kind::write);
  CHECK(rig.kind(query("CREATE TABLE z AS EXECUTE q")) != Kind::read);
  CHECK(rig.kind(query("EXPLAIN ANALYZE EXECUTE q")) == Kind::write);
  rig.prepare("c", "COMMIT");
  CHECK(rig.kind(query("EXECUTE c")) == Kind::commit);
  rig.prepare("local", kLocalUpdate);
  CHECK(rig.run("local", {"1"}).row_local);
  CHECK_FALSE(rig.plan(query("EXECUTE local(1)")).statement.row_local);
  CHECK(rig.kind(query("DECLARE x CURSOR FOR SELECT 1")) == Kind::read);
  CHECK(rig.kind(query("FETCH ALL x")) == Kind::read);
  CHECK(rig.kind(execute("x") + kSync) == Kind::read);
  CHECK(rig.kind(query("CLOSE x")) == Kind::session);
  CHECK(rig.kind(query("FETCH ALL x")) == Kind::write);
  CHECK(rig.kind(bound("y", "q") + kSync) == Kind::session);
  CHECK(rig.kind(query("FETCH ALL y")) == Kind::read);
  rig.planner.on_transaction_end();
  CHECK(rig.kind(query("FETCH ALL y")) == Kind::write);
}

TEST_CASE("what takes names away is understood however it is written") {
  const auto after = [](std::string_view sql) {
    Rig rig;
    rig.prepare("s", "SELECT 1");
    (void)rig.plan(query(sql));
    return rig.run_kind("s");
  };
  for (const char* sql : {"DEALLOCATE s", "DEALLOCATE PREPARE s", "deallocate prepare S", " ; DEALLOCATE ALL",
                          "DEALLOCATE PREPARE ALL", "DISCARD ALL", "\n discard all;",
                          "DEALLOCATE s; PREPARE s AS DELETE FROM t"}) {
    INFO(sql);
    CHECK(after(sql) == Kind::opaque);
  }
  for (const char* sql : {"DISCARD PLANS", "DISCARD TEMP", "DISCARD SEQUENCES", "CLOSE s", "CLOSE ALL",
                          "DEALLOCATE other", "SELECT 'deallocate s'"}) {
    INFO(sql);
    CHECK(after(sql) == Kind::read);
  }
}

TEST_CASE("a name that looks like a command is a name") {
  Rig rig;
  CHECK(rig.kind(query("DECLARE prepare_c CURSOR FOR SELECT 1")) == Kind::read);
  CHECK(rig.kind(query("CLOSE prepare_c")) == Kind::session);
  CHECK(rig.kind(query("FETCH 1 FROM prepare_c")) == Kind::write);
  CHECK(rig.kind(query("EXECUTE prepare_c")) == Kind::opaque);
  CHECK(rig.kind(query("PREPARE deallocate_p AS SELECT 1")) == Kind::session);
  CHECK(rig.kind(query("EXECUTE deallocate_p")) == Kind::read);
  CHECK(rig.kind(query("PREPARE p AS SELECT 'deallocate'")) == Kind::session);
  CHECK(rig.kind(query("EXECUTE p")) == Kind::read);
  CHECK(rig.kind(query("/* prepare */ DEALLOCATE /* x */ p")) == Kind::session);
  CHECK(rig.kind(query("EXECUTE p")) == Kind::opaque);
  CHECK(rig.kind(query("DECLARE c CURSOR FOR SELECT 1")) == Kind::read);
  CHECK(rig.kind(query("/* x */ CLOSE c")) == Kind::session);
  CHECK(rig.kind(query("FETCH 1 FROM c")) == Kind::write);
  CHECK(rig.kind(query("-- x\nPREPARE d AS SELECT 1")) == Kind::session);
  CHECK(rig.kind(query("/* x */ DISCARD ALL")) == Kind::session);
  CHECK(rig.kind(query("EXECUTE d")) == Kind::opaque);
}

TEST_CASE("a statement that names another is what that one is now") {
  Rig rig;
  rig.prepare("one", "SELECT 1");
  rig.prepare("two", "EXECUTE one");
  CHECK(rig.run_kind("two") == Kind::read);
  CHECK(rig.kind(closed('S', "one") + parse("one", "SELECT writes()") + kSync) == Kind::session);
  CHECK(rig.run_kind("two") == Kind::write);
  CHECK(rig.kind(closed('S', "one") + parse("one", "COMMIT") + kSync) == Kind::session);
  CHECK(rig.run_kind("two") == Kind::commit);
  CHECK(rig.kind(query("DECLARE c CURSOR FOR SELECT 1")) == Kind::read);
  rig.prepare("fetch", "FETCH 1 FROM c");
  CHECK(rig.run_kind("fetch") == Kind::read);
  rig.planner.on_transaction_end();
  CHECK(rig.kind(query("DECLARE c CURSOR FOR SELECT writes()")) == Kind::write);
  CHECK(rig.run_kind("fetch") != Kind::read);
}

TEST_CASE("statements that name each other in a circle end as unknown") {
  Rig rig;
  rig.prepare("a", "SELECT 1");
  rig.prepare("b", "EXECUTE a");
  CHECK(rig.kind(closed('S', "a") + parse("a", "EXECUTE b") + kSync) == Kind::session);
  CHECK(rig.run_kind("a") != Kind::read);
  CHECK(rig.run_kind("b") != Kind::read);
  rig.classifier.current = 2;
  CHECK(rig.run_kind("a") != Kind::read);
  CHECK(rig.run_kind("b") != Kind::read);
}

TEST_CASE("another catalogue has prepared statements judged again") {
  Rig rig;
  rig.prepare("local", kLocalUpdate);
  rig.prepare("read", "SELECT pure()");
  CHECK(rig.kind(query("PREPARE sql AS SELECT pure()")) == Kind::session);
  CHECK(rig.run("local", {"1"}).row_local);
  rig.classifier.known = catalogue(false);
  rig.classifier.current = 2;
  CHECK_FALSE(rig.run("local", {"1"}).row_local);
  CHECK(rig.run("local", {"1"}).catalogue_version == 2);
  CHECK(rig.run_kind("read") == Kind::read);
  CHECK(rig.kind(query("EXECUTE sql")) == Kind::write);
  const int asked = rig.classifier.asked;
  CHECK(rig.run_kind("read") == Kind::read);
  CHECK(rig.classifier.asked == asked);
  rig.classifier.known = catalogue();
  rig.classifier.current = 3;
  CHECK(rig.run("local", {"1"}).row_local);
}

TEST_CASE("a transaction that has changed the catalogue proves nothing of what was prepared before it") {
  Rig rig;
  const std::string padding(20'000, ' ');
  rig.prepare("local", kLocalUpdate);
  rig.prepare("read", "SELECT pure()");
  rig.prepare("long", kLocalUpdate + padding);
  rig.prepare("long read", "SELECT pure()" + padding);
  CHECK(rig.run("long", {"1"}).row_local);
  const auto before = std::exchange(rig.classifier.known, nullptr);
  CHECK_FALSE(rig.run("local", {"1"}).row_local);
  CHECK(rig.run_kind("read") == Kind::write);
  CHECK_FALSE(rig.run("long", {"1"}).row_local);
  CHECK(rig.run_kind("long read") == Kind::write);
  rig.classifier.known = before;  // rolled back
  CHECK(rig.run("local", {"1"}).row_local);
  CHECK(rig.run_kind("read") == Kind::read);
}

TEST_CASE("parameters that compare in a way of their own make no key") {
  const auto is_local = [](std::string_view sql, const std::vector<std::uint32_t>& types) {
    Rig rig;
    rig.prepare("s", sql, types);
    return rig.run("s", {"1", "1"}).row_local;
  };
  CHECK(is_local(kLocalUpdate, {}));
  CHECK(is_local(kLocalUpdate, {0}));
  for (const std::uint32_t plain : {16, 17, 20, 21, 23, 25, 705, 1043, 1082, 1114, 1700, 2950}) {
    INFO(plain);
    CHECK(is_local(kLocalUpdate, {plain}));
  }
  // char(n), float8, float4, timestamptz, name, a user's, and the largest
  for (const std::uint32_t other : {1042U, 701U, 700U, 1184U, 19U, 16384U, 0xFFFFFFFFU}) {
    for (const char* lock :
         {"UPDATE t SET n = 1 WHERE id = $1", "DELETE FROM t WHERE $1 = id",
          "SELECT * FROM t WHERE id = $1 FOR UPDATE", "SELECT * FROM t WHERE id = $1 FOR SHARE",
          "SELECT * FROM t WHERE id = $1 FOR KEY SHARE"}) {
      INFO(lock << " with " << other);
      CHECK_FALSE(is_local(lock, {other}));
    }
  }
  CHECK(is_local("UPDATE t SET n = $1 WHERE id = $2", {701, 23}));
  CHECK_FALSE(is_local("UPDATE t SET n = $1 WHERE id = $2", {23, 701}));
  CHECK_FALSE(is_local("UPDATE t SET n = $1 WHERE id = $2", {16384, 23}));
  CHECK(is_local("INSERT INTO t (id, n) VALUES ($1, $2)", {701, 1184}));
  CHECK_FALSE(is_local("INSERT INTO t (id, n) VALUES ($1, $2)", {23, 16384}));
  // The ninth comparison has no place in the target.
  std::string many = "UPDATE t SET n = 1 WHERE a = 1";
  for (int i = 0; i < 8; ++i) many += " AND b = 1";
  CHECK_FALSE(is_local(many + " AND id = $1", {701}));
}

TEST_CASE("the values of a Bind make the key, and a broken one makes none") {
  Rig rig;
  rig.prepare("s", kLocalUpdate);
  const std::uint64_t seven = rig.run("s", {"7"}).row_key;
  CHECK(seven != 0);
  CHECK(rig.run("s", {"7"}).row_key == seven);
  CHECK(rig.run("s", {"8"}).row_key != seven);
  CHECK(rig.run("s", {}).row_key == 0);
  const std::string null = text("") + text("s") + int16(0) + int16(1) + int32(0xFFFFFFFF);
  CHECK(rig.plan(build_message('B', null) + execute() + kSync).statement.row_key == 0);
  const std::string whole = text("") + text("s") + int16(1) + int16(1) + int16(1) + int32(1) + "7";
  CHECK(rig.plan(build_message('B', whole) + execute() + kSync).statement.row_key == seven);
  rig.planner.on_transaction_end();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    INFO(size);
    const UnitStatement cut =
        rig.plan(build_message('B', whole.substr(0, size)) + execute() + kSync).statement;
    CHECK((cut.row_key == 0 || cut.kind == Kind::opaque));
    rig.planner.on_transaction_end();
  }
}

TEST_CASE("a Parse that is cut short proves no more than what is there") {
  const std::string body =
      text("s") + text("SELECT * FROM t WHERE id = $1 FOR UPDATE") + int16(1) + int32(23);
  for (std::size_t size = 0; size < body.size(); ++size) {
    Rig rig;
    INFO(size);
    const UnitPlan plan =
        rig.plan(build_message('P', body.substr(0, size)) + bound("", "s", {"1"}) + execute() + kSync);
    CHECK(plan.completeness == Completeness::whole);
    CHECK_FALSE(plan.statement.row_local);
  }
}

TEST_CASE("more names than are kept leave the rest unknown, not harmless") {
  constexpr int kNames = 4096;
  Rig rig;
  for (int i = 0; i < kNames; ++i) (void)rig.plan(parse("s" + std::to_string(i), "SELECT 1") + kSync);
  CHECK(rig.run_kind("s4095") == Kind::read);
  rig.prepare("commits", "COMMIT");
  rig.prepare("reads", "SELECT 1");
  CHECK(rig.run_kind("commits") == Kind::opaque);
  CHECK(rig.run_kind("reads") == Kind::opaque);
  CHECK(rig.kind(query("EXECUTE commits")) == Kind::opaque);
  rig.planner.on_error();
  rig.prepare("", "SELECT 1");
  CHECK(rig.run_kind("") == Kind::read);
  CHECK(rig.kind(closed('S', "s1") + closed('S', "s2") + parse("reads", "SELECT 1") + kSync) ==
        Kind::session);
  CHECK(rig.run_kind("reads") == Kind::read);
  rig.planner.on_transaction_end();
  std::string portals;
  for (int i = 0; i <= kNames; ++i) portals += bound("p" + std::to_string(i), "s0");
  CHECK(rig.kind(portals + execute("p4095") + kSync) == Kind::read);
  CHECK(rig.kind(portals + execute("p4096") + kSync) == Kind::opaque);
}

TEST_CASE("names are as long as the server keeps them") {
  Rig rig;
  const std::string common(63, 'n');
  rig.prepare(common + "1", "SELECT 1");
  CHECK(rig.kind(closed('S', common + "2") + parse(common + "3", "SELECT writes()") + kSync) ==
        Kind::session);
  CHECK(rig.run_kind(common + "1") == Kind::write);
  CHECK(rig.kind(query("EXECUTE " + common + "4")) == Kind::write);
}

TEST_CASE("nonsense is whole, so that the server can refuse it, and proves nothing") {
  Rig rig;
  CHECK(rig.plan(std::string("Q\0\0\0\3", 5)).completeness == Completeness::whole);
  CHECK(rig.plan(std::string("P\xFF\xFF\xFF\xFF", 5)).completeness == Completeness::whole);
  CHECK(rig.plan(std::string("Q\x7F\xFF\xFF\xFF", 5)).completeness == Completeness::whole);
  CHECK(rig.plan(std::string("Q\0\0", 3)).completeness == Completeness::incomplete);
  for (const char type : {'X', 'd', 'c', 'f', 'p', '\1', 'q', 'Z'}) {
    INFO(int(type));
    const UnitPlan plan = rig.plan(build_message(type, "x"));
    CHECK(plan.completeness == Completeness::whole);
    CHECK(plan.executes == 0);
  }
  for (const char type : {'P', 'B', 'E', 'C', 'D', 'Q', 'F', 'H'}) {
    INFO(type);
    CHECK(rig.plan(build_message(type, "") + kSync).completeness == Completeness::whole);
    CHECK(rig.plan(build_message(type, std::string("\0", 1)) + kSync).completeness == Completeness::whole);
  }
  CHECK(Rig().kind(build_message('E', "") + kSync) == Kind::opaque);
}

// Random messages with random bodies, cut and mixed: nothing may be read beyond its end (the sanitizers
// look), and what is said must be about what was given.
TEST_CASE("random messages are survived") {
  const unsigned seed = GENERATE(range(1U, 9U));
  std::mt19937 random(seed);
  Rig rig;
  const std::vector<std::string> pieces{parse("a", "SELECT 1"),
                                        parse("a", kLocalUpdate, {23}),
                                        parse("", "EXECUTE a"),
                                        parse("b", "EXECUTE b"),
                                        bound("p", "a", {"1"}),
                                        bound("", ""),
                                        execute("p"),
                                        execute(),
                                        closed('S', "a"),
                                        closed('P', "p"),
                                        query("FETCH p"),
                                        query("EXECUTE a"),
                                        query("DEALLOCATE a"),
                                        query("DISCARD ALL"),
                                        kFlush,
                                        kSync};
  for (int step = 0; step < 3000; ++step) {
    std::string input;
    for (unsigned i = 0; i < 1 + random() % 6; ++i) input += pieces[random() % pieces.size()];
    for (unsigned i = 0; i < random() % 3; ++i) input[random() % input.size()] = char(random());
    input.resize(input.size() - random() % 3);
    const UnitPlan plan = rig.plan(input);
    INFO("seed " << seed << ", step " << step);
    REQUIRE((plan.completeness == Completeness::incomplete || plan.size <= input.size()));
    REQUIRE((!plan.statement.row_local || plan.statement.kind == Kind::write));
    if (random() % 4 == 0) rig.planner.on_error();
    if (random() % 4 == 0) rig.planner.on_transaction_end();
    if (random() % 8 == 0) ++rig.classifier.current;
  }
}
