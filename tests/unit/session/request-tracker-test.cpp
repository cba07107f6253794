#include "server-relay/session/request-tracker.h"

#include <catch2/catch.hpp>

using namespace pgtandem;
using Phase = RequestTracker::Phase;
using Verdict = RequestTracker::Verdict;

namespace {

Verdict judge(RequestTracker& tracker, char type, std::string_view body = {}) {
  MessagePiece piece;
  piece.type = type;
  piece.first = piece.last = true;
  piece.body = as_bytes(body);
  piece.body_size = std::uint32_t(body.size());
  return tracker.judge(piece);
}

}  // namespace

TEST_CASE("a second unit is held until the first is decided") {
  RequestTracker t;
  CHECK(judge(t, 'Q', "SELECT 1") == Verdict::forward);
  CHECK(t.take_unit_began());
  CHECK_FALSE(t.take_unit_began());
  CHECK(judge(t, 'Q', "SELECT 2") == Verdict::hold);
  CHECK(t.statement() == "SELECT 1");
  t.on_decided();
  CHECK(judge(t, 'Q', "SELECT 2") == Verdict::forward);
  CHECK(t.statement() == "SELECT 2");
}

TEST_CASE("an extended unit goes out as it comes, up to its Sync") {
  RequestTracker t;
  for (const char type : {'P', 'D', 'H', 'B', 'E', 'S'}) CHECK(judge(t, type) == Verdict::forward);
  CHECK(t.phase() == Phase::sent);
  CHECK(judge(t, 'P') == Verdict::hold);
}

TEST_CASE("COPY data belong to the unit that asked for them, in both query protocols") {
  RequestTracker simple;
  judge(simple, 'Q', "COPY t FROM STDIN");
  CHECK(judge(simple, 'd') == Verdict::hold);  // sent before the backend asked for it
  simple.on_copy_in();
  for (const char type : {'d', 'd', 'c'}) CHECK(judge(simple, type) == Verdict::forward);
  CHECK(simple.phase() == Phase::sent);

  RequestTracker extended;
  for (const char type : {'P', 'B', 'E', 'S'}) judge(extended, type);
  extended.on_copy_in();
  for (const char type : {'d', 'H', 'S', 'd', 'c'}) CHECK(judge(extended, type) == Verdict::forward);
  CHECK(extended.phase() == Phase::sending);
  CHECK(judge(extended, 'S') == Verdict::forward);
  CHECK(extended.phase() == Phase::sent);
}

TEST_CASE("COPY data that come too late begin no unit") {
  RequestTracker t;
  CHECK(judge(t, 'd') == Verdict::forward);
  CHECK(judge(t, 'c') == Verdict::forward);
  CHECK(t.phase() == Phase::between);
  CHECK_FALSE(t.take_unit_began());
}

TEST_CASE("Terminate is obeyed between units and in COPY, and waits for the unit under way") {
  RequestTracker t;
  judge(t, 'Q', "SELECT 1");
  CHECK(judge(t, 'X') == Verdict::hold);
  t.on_decided();
  CHECK(judge(t, 'X') == Verdict::leave);
}

TEST_CASE("one statement that reads is known by its first word") {
  CHECK(begins_with_reading_word("select 1"));
  CHECK(begins_with_reading_word("  /* x */ -- y\n ( SELECT 1);  "));
  CHECK(begins_with_reading_word("SHOW all"));
  CHECK_FALSE(begins_with_reading_word("selection"));
  CHECK_FALSE(begins_with_reading_word("SELECT 1; DELETE FROM t"));
  CHECK_FALSE(begins_with_reading_word("WITH x AS (DELETE FROM t RETURNING 1) SELECT 1"));
  CHECK_FALSE(begins_with_reading_word("/* never ends SELECT"));
  CHECK_FALSE(begins_with_reading_word(""));
}
