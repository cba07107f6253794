#include "server-relay/control/metrics.h"

#include <cmath>
#include <map>
#include <set>
#include <sstream>

#include <catch2/catch.hpp>

using namespace pgtandem;

namespace {

/// The text format as a scraper reads it: samples by their name with labels, and what HELP and TYPE were
/// said.
struct Scraped {
  std::map<std::string, double> samples;
  std::map<std::string, std::string> types;
  std::set<std::string> helped;
};

Scraped scrape(const std::string& text) {
  Scraped scraped;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    REQUIRE_FALSE(line.empty());
    std::istringstream words(line);
    std::string first, keyword, name, rest;
    words >> first;
    if (first == "#") {
      words >> keyword >> name;
      std::getline(words, rest);
      REQUIRE(rest.size() > 1);
      if (keyword == "TYPE") scraped.types[name] = rest.substr(1);
      if (keyword == "HELP") scraped.helped.insert(name);
      continue;
    }
    const std::size_t value = line.rfind(' ');
    REQUIRE(scraped.samples.emplace(line.substr(0, value), std::stod(line.substr(value + 1))).second);
  }
  return scraped;
}

RelayCounters example() {
  RelayCounters c;
  c.node = "a";
  c.state = "MASTER";
  c.epoch = 3;
  c.standby_joined = true;
  c.sessions_open = 8;
  c.sessions_total = 123;
  c.session_ends = {{"client-left", 100}, {"odd \"reason\"\n", 15}};
  c.units = 1'000'000'007;
  c.frontend_bytes = 1ULL << 50;
  c.differences_reads = 2;
  c.standby_wait.observe(0.0001);
  c.standby_wait.observe(0.003);
  c.standby_wait.observe(60);
  return c;
}

}  // namespace

TEST_CASE("every metric has a type, a help text and a name by Prometheus' conventions") {
  const Scraped scraped = scrape(metrics_text(example()));
  CHECK(scraped.types.size() > 15);
  for (const auto& [name, type] : scraped.types) {
    CAPTURE(name);
    CHECK(scraped.helped.count(name) == 1);
    CHECK(name.starts_with("pgtandem_"));
    CHECK(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string::npos);
    CHECK(name.ends_with("_total") == (type == "counter"));
  }
  for (const auto& [sample, value] : scraped.samples) {
    const std::string name = sample.substr(0, sample.find('{'));
    bool declared = scraped.types.count(name) == 1;
    for (const std::string suffix : {"_bucket", "_sum", "_count"}) {
      if (name.ends_with(suffix))
        declared |= scraped.types.count(name.substr(0, name.size() - suffix.size())) == 1;
    }
    CAPTURE(sample);
    CHECK(declared);
  }
}

TEST_CASE("the counters come out as they went in, without losing digits") {
  const auto samples = scrape(metrics_text(example())).samples;
  CHECK(samples.at("pgtandem_sessions_open") == 8);
  CHECK(samples.at("pgtandem_sessions_total") == 123);
  CHECK(samples.at("pgtandem_units_total") == 1'000'000'007);
  CHECK(samples.at("pgtandem_received_bytes_total{from=\"frontend\"}") == double(1ULL << 50));
  CHECK(samples.at("pgtandem_differences_total{kind=\"read\"}") == 2);
  CHECK(samples.at("pgtandem_standby_joined") == 1);
  CHECK(samples.at("pgtandem_session_ends_total{reason=\"client-left\"}") == 100);
  CHECK(samples.at("pgtandem_session_ends_total{reason=\"odd \\\"reason\\\"\\n\"}") == 15);
}

TEST_CASE("a witness has metrics where there is one, and none where there is none") {
  RelayCounters c = example();
  const auto without = scrape(metrics_text(c)).samples;
  CHECK(without.count("pgtandem_witness_answers") == 0);
  CHECK(without.count("pgtandem_right_seconds") == 0);
  CHECK(without.at("pgtandem_guests") == 0);
  c.witness = c.witness_answers = c.guests = true;
  c.right_seconds = 2.5;
  const auto with = scrape(metrics_text(c)).samples;
  CHECK(with.at("pgtandem_witness_answers") == 1);
  CHECK(with.at("pgtandem_right_seconds") == 2.5);
  CHECK(with.at("pgtandem_guests") == 1);
}

TEST_CASE("the state is 1 for one state and 0 for all others") {
  double sum = 0;
  std::size_t states = 0;
  const auto samples = scrape(metrics_text(example())).samples;
  for (const auto& [sample, value] : samples) {
    if (!sample.starts_with("pgtandem_state{")) continue;
    sum += value;
    ++states;
  }
  CHECK(states == 11);
  CHECK(sum == 1);
  CHECK(samples.at("pgtandem_state{state=\"MASTER\"}") == 1);
}

TEST_CASE("the waits are a histogram whose buckets rise up to the count") {
  const auto samples = scrape(metrics_text(example())).samples;
  const std::string name = "pgtandem_unit_standby_wait_seconds";
  CHECK(samples.at(name + "_bucket{le=\"0.0001\"}") == 1);
  CHECK(samples.at(name + "_bucket{le=\"0.0025\"}") == 1);
  CHECK(samples.at(name + "_bucket{le=\"0.005\"}") == 2);
  CHECK(samples.at(name + "_bucket{le=\"10\"}") == 2);
  CHECK(samples.at(name + "_bucket{le=\"+Inf\"}") == 3);
  CHECK(samples.at(name + "_count") == 3);
  CHECK(std::abs(samples.at(name + "_sum") - 60.0031) < 1e-9);
}

TEST_CASE("the counts of threads add up, the role stays") {
  RelayCounters all = example();
  all += example();
  CHECK(all.sessions_open == 16);
  CHECK(all.session_ends.at("client-left") == 200);
  CHECK(all.standby_wait.count == 6);
  CHECK(all.epoch == 3);
}
