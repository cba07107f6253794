// The goal of these tests: nothing is proven by a catalogue that has gone, and a thread asks for the shared
// one no more often than it must.
#include "server-relay/statements/database-statements.h"

#include <catch2/catch.hpp>

#include "tests/unit/statements/statement-fixtures.h"

using namespace pgtandem;
using namespace pgtandem::testing;

namespace {

struct FakeShared final : SharedCatalogue {
  std::shared_ptr<const StatementCatalogue> catalogue;
  int asked = 0;
  bool changes_while_asked = false;

  std::shared_ptr<const StatementCatalogue> current() override {
    ++asked;
    const auto answer = catalogue;
    if (std::exchange(changes_while_asked, false)) set(nullptr);
    return answer;
  }
  std::shared_ptr<const RewriteCatalogue> rewriting() override { return nullptr; }
  void set(std::shared_ptr<const StatementCatalogue> another) {
    catalogue = std::move(another);
    ++version_;
  }
  void set_may_defer(bool may) { may_defer_ = may; }
};

constexpr const char* kRead = "SELECT pure() FROM t";

StatementKind kind(DatabaseStatements& statements, bool unproven = false) {
  return statements.classify(kRead, unproven, {})->kind;
}

}  // namespace

TEST_CASE("as long as there is no catalogue nothing is proven, and it is asked for") {
  FakeShared shared;
  DatabaseStatements statements(shared);
  CHECK(kind(statements) == StatementKind::write);
  CHECK(kind(statements) == StatementKind::write);
  CHECK(shared.asked == 2);
  shared.set(small_catalogue());
  CHECK(statements.version() != statements.current_version());
  CHECK(kind(statements) == StatementKind::read);
  CHECK(statements.version() == statements.current_version());
  CHECK(kind(statements) == StatementKind::read);
  CHECK(shared.asked == 3);
}

TEST_CASE("a catalogue that is dropped proves nothing any more") {
  FakeShared shared;
  shared.set(small_catalogue());
  DatabaseStatements statements(shared);
  CHECK(kind(statements) == StatementKind::read);
  shared.set(nullptr);
  CHECK(kind(statements) == StatementKind::write);
  shared.set(catalogue_with_volatile_operator(true));
  CHECK(kind(statements) == StatementKind::write);
  shared.set(small_catalogue());
  CHECK(kind(statements) == StatementKind::read);
}

TEST_CASE("a catalogue that changes while it is fetched is fetched again") {
  FakeShared shared;
  shared.set(small_catalogue());
  DatabaseStatements statements(shared);
  shared.changes_while_asked = true;
  CHECK(kind(statements) == StatementKind::read);  // as of when it was asked
  CHECK(statements.version() != statements.current_version());
  CHECK(kind(statements) == StatementKind::write);
  CHECK(statements.version() == statements.current_version());
}

TEST_CASE("a session that has changed the catalogue is told nothing that others may rely on") {
  FakeShared shared;
  shared.set(small_catalogue());
  DatabaseStatements statements(shared);
  CHECK(kind(statements) == StatementKind::read);
  CHECK(kind(statements, true) == StatementKind::write);
  CHECK(kind(statements) == StatementKind::read);
  CHECK(kind(statements, true) == StatementKind::write);
}

TEST_CASE("texts that another client encoding reads otherwise are not found under the plain one") {
  FakeShared shared;
  shared.set(small_catalogue());
  DatabaseStatements statements(shared);
  const char* text = "SELECT 'a\\' FROM t";
  CHECK(statements.classify(text, false, {})->kind == StatementKind::read);
  CHECK(statements.classify(text, false, {.standard_strings = false})->kind == StatementKind::opaque);
  CHECK(statements.classify(text, false, {})->kind == StatementKind::read);
}

TEST_CASE("constraints may be deferred until the catalogue says otherwise") {
  FakeShared shared;
  const DatabaseStatements statements(shared);
  CHECK(statements.may_defer());
  shared.set_may_defer(false);
  CHECK_FALSE(statements.may_defer());
}

TEST_CASE("a finding is new once, and beyond a thousand texts none is") {
  FakeShared shared;
  DatabaseStatements statements(shared);
  CHECK(statements.is_new_finding("a"));
  CHECK_FALSE(statements.is_new_finding("a"));
  CHECK(statements.is_new_finding(""));
  int found = 0;
  for (int i = 0; i < 5000; ++i) found += statements.is_new_finding("text " + std::to_string(i)) ? 1 : 0;
  CHECK(found == 998);
}
