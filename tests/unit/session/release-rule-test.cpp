#include "server-relay/session/release-rule.h"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace pgtandem;

namespace {

/// A script of outcomes: a tag, "!" for an error, "Z<status>" for ReadyForQuery; the answer has an 'w' for
/// each that waits.
std::string waits(const std::vector<std::string>& script, bool ack_master = false) {
  ReleaseRule rule(ack_master);
  std::string answer;
  for (const std::string& step : script) {
    Outcome o;
    if (step[0] == '!') {
      o.kind = Outcome::Kind::error;
    } else if (step[0] == 'Z') {
      o.status = step[1];
    } else {
      o.kind = Outcome::Kind::complete;
      o.tag_class = classify_tag(step, false);
    }
    answer += rule.must_wait(o) ? 'w' : '-';
  }
  return answer;
}

}  // namespace

TEST_CASE("an autocommit unit waits, its error too") {
  CHECK(waits({"UPDATE 1", "ZI"}) == "ww");
  CHECK(waits({"SELECT 1", "ZI"}) == "ww");
  CHECK(waits({"!", "ZI"}) == "ww");
  CHECK(waits({"ZI"}) == "w");
}

TEST_CASE("inside a block only what ends it with a promise waits") {
  CHECK(waits({"BEGIN", "ZT", "UPDATE 1", "ZT", "COMMIT", "ZI"}) == "----ww");
  CHECK(waits({"BEGIN", "ZT", "!", "ZE", "ROLLBACK", "ZI"}) == "------");
  CHECK(waits({"BEGIN", "ZT", "PREPARE TRANSACTION", "ZI", "COMMIT PREPARED", "ZI"}) == "--wwww");
  CHECK(waits({"BEGIN", "ZT", "SAVEPOINT", "ZT", "ROLLBACK", "ZT", "INSERT 0 1", "ZT", "COMMIT", "ZI"}) ==
        "--------ww");
}

TEST_CASE("what comes behind something that waits, waits too, up to the unit's end") {
  CHECK(waits({"INSERT 0 1", "BEGIN", "INSERT 0 1", "ZT", "UPDATE 1", "ZT"}) == "wwww--");
  CHECK(waits({"BEGIN", "ZT", "COMMIT", "BEGIN", "UPDATE 1", "ZT"}) == "--wwww");
  CHECK(waits({"BEGIN", "ZT", "ROLLBACK", "INSERT 0 1", "ZI"}) == "---ww");
}

TEST_CASE("with ack = master nothing waits") {
  CHECK(waits({"UPDATE 1", "ZI", "BEGIN", "ZT", "COMMIT", "ZI"}, true) == "------");
}
