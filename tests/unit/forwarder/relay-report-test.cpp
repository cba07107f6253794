#include "client-forwarder/relay-report.h"

#include <catch2/catch.hpp>

#include "tests/unit/forwarder/reports.h"

using namespace pgtandem;
using namespace pgtandem::test;

TEST_CASE("a report takes what it needs from a status and nothing else") {
  const auto report = parse_report(pair_status("b", "STANDBY", 7, "a"));
  REQUIRE(report.ok());
  CHECK(report->pair_mode);
  CHECK(report->node == Node::b);
  CHECK(report->state == "STANDBY");
  CHECK_FALSE(report->active);
  CHECK(report->epoch == 7);
  REQUIRE(report->record);
  CHECK(report->record->epoch == 7);
  CHECK(report->record->master == Node::a);
  CHECK(to_string(report->record->cluster) == kPair);
  CHECK(report->record->mac == kMac);
}

TEST_CASE("exactly the four states in which a node serves are active") {
  std::string active;
  for (const std::string state : {"RECOVER", "STALE", "BOOTSTRAP", "STANDBY", "CANDIDATE", "MASTER",
                                  "DEGRADING", "ALONE", "DRAINING", "FENCED", "SPLIT"}) {
    const auto report = parse_report(flags_status(state));
    REQUIRE(report.ok());
    if (report->active) active += state + " ";
  }
  CHECK(active == "MASTER DEGRADING ALONE DRAINING ");
}

TEST_CASE("a pair without a record, and a flags-only relay, have none") {
  const auto flags = parse_report(flags_status("MASTER"));
  REQUIRE(flags.ok());
  CHECK_FALSE(flags->pair_mode);
  CHECK_FALSE(flags->record);
  const auto fresh =
      parse_report(R"({"node":"a","mode":"pair","role":{"state":"RECOVER","epoch":0},"record":null})");
  REQUIRE(fresh.ok());
  CHECK(fresh->pair_mode);
  CHECK_FALSE(fresh->record);
}

TEST_CASE("what is no status is refused, cut anywhere as well") {
  for (const char* text :
       {"", "null", "[]", "{}", R"({"role":{}})", R"({"role":{"state":"KING"}})", R"({"role":1})",
        R"({"mode":"pair","role":{"state":"MASTER"},"record":{"payload":"x","mac":"y"}})"}) {
    INFO(text);
    CHECK_FALSE(parse_report(text).ok());
  }
  const std::string whole = pair_status("a", "MASTER", 3, "a");
  for (std::size_t i = 0; i < whole.size(); ++i) CHECK_FALSE(parse_report(whole.substr(0, i)).ok());
}

TEST_CASE("a record that could break out of a line or is endless is refused") {
  const std::string good = record_payload(3, "a");
  CHECK(parse_record(good, kMac).ok());
  CHECK_FALSE(parse_record(good + "\nmac=x", kMac).ok());
  CHECK_FALSE(parse_record(good, "a\nb").ok());
  CHECK_FALSE(parse_record(good, "").ok());
  CHECK_FALSE(parse_record(good + std::string(kMaxRecordText, 'x'), kMac).ok());
  CHECK_FALSE(parse_record("pgtandem-role 2" + good.substr(15), kMac).ok());
  CHECK_FALSE(parse_record("pgtandem-role 1 epoch=3 master=a", kMac).ok());
  CHECK_FALSE(
      parse_record("pgtandem-role 1 cluster=" + kPair + " epoch=99999999999999999999 master=a", kMac).ok());
  CHECK_FALSE(parse_record("pgtandem-role 1 cluster=" + kPair + " epoch=3x master=a", kMac).ok());
  CHECK_FALSE(parse_record("pgtandem-role 1 cluster=" + kPair + " epoch=3 master=c", kMac).ok());
}
