#include "common/config/value.h"

#include <catch2/catch.hpp>

using namespace pgtandem;
using namespace pgtandem::config;

TEST_CASE("durations are whole numbers with a unit, and come back as they went") {
  CHECK(*parse_duration("500ms") == Milliseconds(500));
  CHECK(*parse_duration("2s") == Milliseconds(2000));
  CHECK(*parse_duration("1m") == Milliseconds(60'000));
  CHECK(*parse_duration("1h") == Milliseconds(3'600'000));
  CHECK(*parse_duration("0") == Milliseconds(0));
  for (const char* text : {"500ms", "2s", "1500ms", "90s", "1m", "24h", "0s"}) {
    CHECK(write_duration(*parse_duration(text)) == text);
  }
  for (const char* text : {"", "2", "2 s", "s", "-1s", "2.5s", "2sec", "1d", "2s ", "99999999999999999999s",
                           "9999999999999999999h"}) {
    INFO(text);
    CHECK_FALSE(parse_duration(text).ok());
  }
}

TEST_CASE("sizes are bytes or carry a unit of 1024") {
  CHECK(*parse_size("262144") == 262144);
  CHECK(*parse_size("256KiB") == 262144);
  CHECK(*parse_size("16MB") == 16U << 20);
  CHECK(*parse_size("1G") == 1U << 30);
  CHECK(write_size(262144) == "256KiB");
  CHECK(write_size(1000) == "1000");
  for (const char* text :
       {"", "KiB", "1 KiB", "-1", "1TiB", "99999999999999999999", "18446744073709551615K"}) {
    INFO(text);
    CHECK_FALSE(parse_size(text).ok());
  }
}

TEST_CASE("a relay's address has two ports, both of which may be left out") {
  const auto check = [](const std::string& text, const std::string& written) {
    INFO(text);
    const auto address = parse_relay_address(text);
    REQUIRE(address.ok());
    CHECK(to_string(*address) == written);
  };
  check("hosta", "hosta:5432/8432");
  check("hosta:6000", "hosta:6000/8432");
  check("hosta:6000/9000", "hosta:6000/9000");
  check("hosta/9000", "hosta:5432/9000");
  check("[::1]:6000/9000", "[::1]:6000/9000");
  for (const char* text :
       {"", ":5432", "hosta:0", "hosta:1/0", "hosta:1/70000", "hosta:1/", "/tmp:5432", "::1"}) {
    INFO(text);
    CHECK_FALSE(parse_relay_address(text).ok());
  }
}

TEST_CASE("a rule of access has four words that make sense") {
  const auto rule = parse_access_rule("10.0.0.0/8 shop alice deny");
  REQUIRE(rule.ok());
  CHECK(rule->address == "10.0.0.0/8");
  CHECK(rule->database == "shop");
  CHECK(rule->user == "alice");
  CHECK_FALSE(rule->allow);
  for (const char* text :
       {"all all all allow", "local all all allow", "::1/128 all all allow", "10.1.2.3 all all deny"}) {
    CHECK(parse_access_rule(text).ok());
  }
  for (const char* text :
       {"", "all all all", "all all all perhaps", "10.0.0.0/33 all all allow", "::1/129 all all allow",
        "hosta all all allow", "all all all allow more", "10.0.0.0/ all all allow"}) {
    INFO(text);
    CHECK_FALSE(parse_access_rule(text).ok());
  }
}

TEST_CASE("every setting's default is one of its allowed values") {
  for (const Setting& setting : settings()) {
    INFO(setting.name);
    if (!setting.fallback.empty()) CHECK(check_value(setting, setting.fallback).ok());
    CHECK((!setting.fallback.empty() || !setting.default_note.empty()));
  }
}

TEST_CASE("names, flags and variables of the settings are unique within a program") {
  for (const Setting& one : settings()) {
    for (const Setting& two : settings()) {
      if (&one == &two) continue;
      INFO(one.name << " and " << two.name);
      CHECK(one.name != two.name);
      CHECK(variable_name(one) != variable_name(two));
      if (!(one.programs & two.programs)) continue;
      CHECK(flag_name(one) != flag_name(two));
      if (!one.flag.empty()) CHECK((one.flag != two.flag && one.flag != flag_name(two)));
    }
  }
}
