#include "server-relay/replies/matcher.h"

#include <vector>

#include <catch2/catch.hpp>

using namespace pgtandem;
using Kind = Outcome::Kind;

namespace {

Outcome complete(std::string_view tag, std::uint64_t rows = 0, std::uint64_t digest = 0) {
  Outcome o;
  o.kind = Kind::complete;
  o.text.assign(tag);
  o.tag_class = classify_tag(tag, false);
  o.rows = rows;
  o.row_digest = digest;
  return o;
}
Outcome ready(char status) {
  Outcome o;
  o.kind = Kind::ready;
  o.status = status;
  return o;
}
Outcome failed(std::string_view sqlstate) {
  Outcome o;
  o.kind = Kind::error;
  o.sqlstate.assign(sqlstate);
  return o;
}

/// The worst difference between two legs' replies to one unit, in both orders of arrival.
MismatchKind worst_of(const std::vector<Outcome>& master, const std::vector<Outcome>& standby,
                      bool reads = false) {
  MismatchKind worst[2] = {MismatchKind::none, MismatchKind::none};
  for (const int order : {0, 1}) {
    Matcher matcher;
    matcher.start_unit(reads);
    const auto push_all = [&](Leg leg) {
      for (const Outcome& o : leg == Leg::master ? master : standby) matcher.push(leg, o);
    };
    push_all(order == 0 ? Leg::master : Leg::standby);
    push_all(order == 0 ? Leg::standby : Leg::master);
    while (const auto mismatch = matcher.next_mismatch())
      worst[order] = std::max(worst[order], mismatch->kind);
    CHECK(matcher.waiting() == 0);
    CHECK(matcher.matched() == master.size());
    CHECK(matcher.units(Leg::master) == 1);
    CHECK(matcher.units(Leg::standby) == 1);
  }
  CHECK(worst[0] == worst[1]);
  return worst[0];
}

}  // namespace

TEST_CASE("equal replies are matched and nothing is reported") {
  CHECK(worst_of({complete("UPDATE 1"), ready('I')}, {complete("UPDATE 1"), ready('I')}) ==
        MismatchKind::none);
  CHECK(worst_of({complete("SELECT 1", 1, 7), ready('I')}, {complete("SELECT 1", 1, 7), ready('I')}) ==
        MismatchKind::none);
  CHECK(worst_of({failed("23505"), ready('E')}, {failed("23505"), ready('E')}) == MismatchKind::none);
}

TEST_CASE("a write's different outcome makes the standby unequal") {
  CHECK(worst_of({complete("UPDATE 1"), ready('I')}, {complete("UPDATE 2"), ready('I')}) ==
        MismatchKind::write);
  CHECK(worst_of({complete("UPDATE 1"), ready('I')}, {failed("40P01"), ready('I')}) == MismatchKind::write);
  CHECK(worst_of({failed("40P01"), ready('I')}, {complete("UPDATE 1"), ready('I')}) == MismatchKind::write);
  CHECK(worst_of({complete("INSERT 0 1", 1, 7), ready('I')}, {complete("INSERT 0 1", 1, 8), ready('I')}) ==
        MismatchKind::write);
  CHECK(worst_of({failed("23505"), ready('I')}, {failed("40P01"), ready('I')}) == MismatchKind::write);
  CHECK(worst_of({complete("SELECT 5"), ready('I')}, {complete("SELECT 6"), ready('I')}) ==
        MismatchKind::write);
}

TEST_CASE("a read's difference never changes a role") {
  CHECK(worst_of({complete("SELECT 1", 1, 7), ready('I')}, {complete("SELECT 1", 1, 8), ready('I')}) ==
        MismatchKind::read);
  CHECK(worst_of({complete("SELECT 2", 2, 7), ready('I')}, {complete("SELECT 1", 1, 8), ready('I')}) ==
        MismatchKind::read);
  CHECK(worst_of({failed("57014"), ready('I')}, {complete("SELECT 1", 1, 8), ready('I')}) ==
        MismatchKind::read);
  CHECK(worst_of({failed("22012"), ready('I')}, {failed("57014"), ready('I')}, true) == MismatchKind::read);
}

TEST_CASE("a different transaction status counts as a write, whatever the statement was") {
  CHECK(worst_of({failed("57014"), ready('E')}, {complete("SELECT 1", 1, 8), ready('T')}) ==
        MismatchKind::write);
}

TEST_CASE("a pipeline that an error cut short on one server is compared up to its end") {
  CHECK(worst_of({complete("SELECT 1", 1, 1), complete("INSERT 0 1"), ready('I')},
                 {failed("22012"), ready('I')}) == MismatchKind::write);
  CHECK(worst_of({complete("SELECT 1", 1, 1), complete("SELECT 1", 1, 1), ready('I')},
                 {failed("22012"), ready('I')}) == MismatchKind::read);
}

TEST_CASE("rows that a RETURNING portal gave in portions count once its tag says that it wrote") {
  Outcome suspended = complete("", 5, 1);
  suspended.kind = Kind::suspended;
  Outcome other = suspended;
  other.row_digest = 2;
  CHECK(worst_of({suspended, complete("INSERT 0 9"), ready('I')},
                 {other, complete("INSERT 0 9"), ready('I')}) == MismatchKind::write);
  CHECK(worst_of({suspended, complete("SELECT 0"), ready('I')}, {other, complete("SELECT 0"), ready('I')}) ==
        MismatchKind::read);
}

TEST_CASE("a lagging standby leaves the master's outcomes waiting and is compared later") {
  Matcher matcher;
  for (int unit = 0; unit < 100; ++unit) {
    matcher.start_unit(false);
    CHECK(matcher.push(Leg::master, complete("UPDATE 1")) == std::uint64_t(unit) * 2);
    matcher.push(Leg::master, ready('T'));
  }
  CHECK(matcher.matched() == 0);
  CHECK(matcher.waiting() == 200);
  for (int unit = 0; unit < 100; ++unit) {
    matcher.push(Leg::standby, complete(unit == 70 ? "UPDATE 2" : "UPDATE 1"));
    matcher.push(Leg::standby, ready('T'));
    CHECK(matcher.matched() == std::uint64_t(unit + 1) * 2);
    CHECK(matcher.next_mismatch().has_value() == (unit == 70));
  }
}

TEST_CASE("a difference tells which unit it is of, however far the standby lags") {
  Matcher matcher;
  const std::vector<Outcome> first{complete("SELECT 1", 1, 11), ready('T')};
  const std::vector<Outcome> other{complete("SELECT 1", 1, 12), ready('T')};
  const std::vector<Outcome> cancelled{failed("57014"), ready('E')};
  for (const std::vector<Outcome>& unit : {first, first, cancelled}) {
    matcher.start_unit(true);
    for (const Outcome& o : unit) matcher.push(Leg::master, o);
  }
  for (const std::vector<Outcome>& unit : {first, other, first}) {
    for (const Outcome& o : unit) matcher.push(Leg::standby, o);
  }
  std::vector<std::uint64_t> units;
  while (const auto mismatch = matcher.next_mismatch()) units.push_back(mismatch->unit);
  CHECK(units == std::vector<std::uint64_t>{1, 2, 2});
}
