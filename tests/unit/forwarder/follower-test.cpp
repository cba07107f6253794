#include "client-forwarder/follower.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "tests/unit/forwarder/reports.h"

using namespace pgtandem;
using namespace pgtandem::test;

namespace {

constexpr std::size_t kA = 0;
constexpr std::size_t kB = 1;
using Relays = std::vector<std::size_t>;

/// A follower of two relays that are told about by short words.
class Script {
 public:
  explicit Script(FollowerMemory memory = {}) : follower(2, std::move(memory)) {}

  Decision pair(std::size_t relay, const std::string& state, Epoch epoch, const std::string& master,
                const std::string& cluster = kPair) {
    return follower.on_report(
        relay, *parse_report(pair_status(relay == kA ? "a" : "b", state, epoch, master, cluster)));
  }
  Decision flags(std::size_t relay, const std::string& state, Epoch epoch = 1) {
    return follower.on_report(relay, *parse_report(flags_status(state, epoch)));
  }
  Decision silent(std::size_t relay) { return follower.on_silence(relay); }
  std::optional<std::size_t> target() const { return follower.target(); }

  Follower follower;
};

FollowerMemory remembered(Epoch epoch, const std::string& master) {
  return *parse_record(record_payload(epoch, master), kMac);
}

bool ends(const Decision& decision, std::size_t relay) {
  return std::count(decision.end_sessions.begin(), decision.end_sessions.end(), relay) > 0;
}

}  // namespace

TEST_CASE("nobody is followed before a relay says that it is active") {
  Script script;
  CHECK_FALSE(script.target());
  CHECK_FALSE(script.pair(kB, "STANDBY", 1, "a").target_changed);
  CHECK_FALSE(script.target());
  const Decision decision = script.pair(kA, "MASTER", 1, "a");
  CHECK(decision.target_changed);
  CHECK(script.target() == kA);
}

TEST_CASE("every active state is followed, and none of the others") {
  for (const std::string state : {"MASTER", "ALONE", "DEGRADING", "DRAINING"}) {
    Script script;
    script.pair(kB, state, 1, "b");
    CHECK(script.target() == kB);
  }
  for (const std::string state :
       {"RECOVER", "STALE", "BOOTSTRAP", "STANDBY", "CANDIDATE", "FENCED", "SPLIT"}) {
    Script script;
    script.pair(kB, state, 1, "b");
    CHECK_FALSE(script.target());
  }
}

TEST_CASE(
    "a higher epoch takes over at once and ends the sessions of the old master; one that answers may have "
    "its "
    "word on them first") {
  const bool old_is_silent = GENERATE(false, true);
  Script script;
  script.pair(kA, "MASTER", 3, "a");
  script.pair(kB, "STANDBY", 3, "a");
  if (old_is_silent) script.silent(kA);
  const Decision decision = script.pair(kB, "ALONE", 4, "b");
  CHECK(script.target() == kB);
  CHECK(decision.target_changed);
  CHECK(decision.remember);
  CHECK(decision.end_sessions == (old_is_silent ? Relays{kA} : Relays{}));
  CHECK(decision.wait_for == (old_is_silent ? Relays{} : Relays{kA}));
  CHECK(script.follower.memory().epoch == 4);
  if (old_is_silent) return;
  SECTION("its moment passes") {
    CHECK(ends(script.follower.on_patience_over(kA), kA));
  }
  SECTION("it falls silent") {
    CHECK(ends(script.silent(kA), kA));
  }
  SECTION("it says that it is out") {
    CHECK(ends(script.pair(kA, "FENCED", 4, "b"), kA));
  }
  SECTION("it repeats itself, again and again") {
    CHECK_FALSE(ends(script.pair(kA, "MASTER", 3, "a"), kA));
    CHECK(ends(script.follower.on_patience_over(kA), kA));
    CHECK(ends(script.pair(kA, "MASTER", 3, "a"), kA));
  }
}

TEST_CASE(
    "sessions of a relay that hands over go on as guests, until it answers no more or another is master") {
  Script script;
  script.pair(kA, "MASTER", 3, "a");
  script.pair(kB, "STANDBY", 3, "a");
  CHECK_FALSE(ends(script.pair(kA, "DRAINING", 3, "a"), kA));
  Decision decision = script.pair(kB, "ALONE", 4, "b");
  CHECK(script.target() == kB);
  CHECK_FALSE(ends(decision, kA));
  const RelayReport host = *parse_report(guest_host_status("a", 4, "b"));
  CHECK_FALSE(ends(script.follower.on_report(kA, host), kA));
  CHECK_FALSE(ends(script.pair(kB, "ALONE", 4, "b"), kA));
  SECTION("the last guest has left") {
    CHECK(ends(script.pair(kA, "STALE", 4, "b"), kA));
  }
  SECTION("it answers no more") {
    script.silent(kA);
    CHECK_FALSE(ends(script.pair(kB, "ALONE", 4, "b"), kA));  // the connections themselves tell
    CHECK(ends(script.pair(kB, "ALONE", 5, "b"), kA));
  }
  SECTION("a newer epoch, of which it has a moment to hear") {
    CHECK(script.pair(kB, "ALONE", 5, "b").wait_for == Relays{kA});
    SECTION("it hears") {
      const RelayReport later = *parse_report(guest_host_status("a", 5, "b"));
      CHECK_FALSE(ends(script.follower.on_report(kA, later), kA));
    }
    SECTION("it does not") {
      CHECK(ends(script.follower.on_patience_over(kA), kA));
    }
  }
}

TEST_CASE("a control port that falls silent ends nothing and changes nothing") {
  Script script;
  script.pair(kA, "MASTER", 3, "a");
  script.pair(kB, "STANDBY", 3, "a");
  const Decision decision = script.silent(kA);
  CHECK_FALSE(decision.target_changed);
  CHECK_FALSE(ends(decision, kA));
  CHECK(script.target() == kA);
  CHECK_FALSE(ends(script.silent(kB), kA));
  CHECK(script.target() == kA);
}

TEST_CASE("a fenced master is left, but its sessions end only when there is another") {
  Script script;
  script.pair(kA, "MASTER", 3, "a");
  Decision decision = script.pair(kA, "FENCED", 3, "a");
  CHECK(decision.target_changed);
  CHECK_FALSE(script.target());
  CHECK(decision.end_sessions.empty());
  decision = script.pair(kB, "ALONE", 4, "b");
  CHECK(decision.end_sessions == Relays{kA});
}

TEST_CASE("a lower epoch is never followed, not after a restart either") {
  Script script(remembered(4, "b"));
  const Decision decision = script.pair(kA, "MASTER", 3, "a");
  CHECK_FALSE(script.target());
  CHECK_FALSE(decision.remember);
  CHECK(decision.remark.find("epoch 4 was seen") != std::string::npos);
  CHECK(script.pair(kA, "MASTER", 3, "a").remark.empty());
  script.pair(kB, "ALONE", 4, "b");
  CHECK(script.target() == kB);
  script.pair(kA, "ALONE", 3, "a");
  CHECK(script.target() == kB);
}

TEST_CASE("a node set back to an older state is not followed although it is the master's") {
  Script script;
  script.pair(kA, "MASTER", 4, "a");
  script.pair(kA, "ALONE", 3, "a");
  CHECK_FALSE(script.target());
}

TEST_CASE(
    "a silent master stays followed when its peer's record says that it is master of a later epoch too") {
  Script script;
  script.pair(kA, "MASTER", 3, "a");
  script.silent(kA);
  const Decision decision = script.pair(kB, "STANDBY", 4, "a");
  CHECK(script.target() == kA);
  CHECK(decision.remember);
  CHECK_FALSE(ends(decision, kA));
}

TEST_CASE("of one epoch there is one master: the first that was seen") {
  Script script(remembered(4, "b"));
  const Decision decision = script.pair(kA, "MASTER", 4, "a");
  CHECK_FALSE(script.target());
  CHECK(decision.remark.find("two nodes are called master of epoch 4") != std::string::npos);
  script.pair(kB, "ALONE", 4, "b");
  CHECK(script.target() == kB);
}

TEST_CASE(
    "the record of the highest epoch is carried to a relay that shows a lower one, until it shows it too") {
  Script script;
  CHECK(script.pair(kA, "MASTER", 3, "a").carry_to.empty());
  CHECK(script.pair(kB, "ALONE", 4, "b").carry_to == Relays{kA});
  CHECK(script.pair(kA, "MASTER", 3, "a").carry_to == Relays{kA});
  CHECK(script.follower.memory().payload == record_payload(4, "b"));
  CHECK(script.silent(kA).carry_to.empty());
  CHECK(script.pair(kA, "FENCED", 4, "b").carry_to.empty());
}

TEST_CASE("an old master that comes back is given the record by a forwarder that alone remembers it") {
  Script script(remembered(4, "b"));
  const Decision decision = script.pair(kA, "MASTER", 3, "a");
  CHECK(decision.carry_to == Relays{kA});
  CHECK(script.follower.memory().mac == kMac);
}

TEST_CASE("a relay of a pair without a record is given one, a flags-only relay never") {
  Script script(remembered(4, "b"));
  const auto fresh =
      parse_report(R"({"node":"a","mode":"pair","role":{"state":"RECOVER","epoch":0},"record":null})");
  CHECK(script.follower.on_report(kA, *fresh).carry_to == Relays{kA});
  CHECK(script.flags(kA, "MASTER").carry_to.empty());
}

TEST_CASE("a relay of another pair changes nothing while one of the own pair is there") {
  Script script;
  script.pair(kA, "MASTER", 3, "a");
  const Decision decision = script.pair(kB, "MASTER", 99, "b", kOtherPair);
  CHECK(script.target() == kA);
  CHECK(script.follower.memory().epoch == 3);
  CHECK(decision.carry_to.empty());
  CHECK(decision.end_sessions.empty());
  CHECK(decision.remark.find("another pair") != std::string::npos);
}

TEST_CASE("a forwarder that is pointed to another pair starts anew") {
  Script script(remembered(50, "b"));
  script.pair(kB, "STANDBY", 1, "a", kOtherPair);
  CHECK(script.follower.memory().epoch == 50);
  const Decision decision = script.pair(kA, "MASTER", 1, "a", kOtherPair);
  CHECK(decision.remember);
  CHECK(decision.remark.find("another pair answers") != std::string::npos);
  CHECK(script.target() == kA);
  CHECK(to_string(script.follower.memory().cluster) == kOtherPair);
}

TEST_CASE("memory is written at a new epoch and a new join state, and not otherwise") {
  Script script;
  CHECK(script.pair(kA, "MASTER", 1, "a").remember);
  CHECK_FALSE(script.pair(kA, "MASTER", 1, "a").remember);
  CHECK_FALSE(script.pair(kB, "STANDBY", 1, "a").remember);
  auto degraded = *parse_report(pair_status("a", "ALONE", 1, "a"));
  degraded.record->payload = record_payload(1, "a", kPair, false);
  CHECK(script.follower.on_report(kA, degraded).remember);
  // The standby's older text of the same epoch does not win it back.
  CHECK_FALSE(script.pair(kB, "STALE", 1, "a").remember);
  CHECK(script.follower.memory().payload == degraded.record->payload);
}

TEST_CASE("a flags-only relay is followed if it is the only active one, and its epoch counts for itself") {
  Script script;
  script.flags(kA, "MASTER", 9);
  CHECK(script.target() == kA);
  CHECK(script.follower.memory().epoch == 0);
  // A second one is not preferred, whatever its epoch; the first is kept.
  CHECK_FALSE(script.flags(kB, "MASTER", 99).target_changed);
  CHECK(script.target() == kA);
  // When the first is known to be inactive, the second is the only one.
  const Decision decision = script.flags(kA, "RECOVER", 9);
  CHECK(script.target() == kB);
  CHECK(decision.end_sessions == Relays{kA});
}

TEST_CASE("of two flags-only relays that are both active from the start none is followed") {
  Script script;
  script.silent(kA);
  script.flags(kB, "MASTER");
  CHECK(script.target() == kB);
  Script other;
  other.flags(kA, "STALE");
  other.flags(kB, "STALE");
  other.flags(kA, "MASTER");
  other.flags(kA, "STALE");
  CHECK_FALSE(other.target());
}

TEST_CASE("a flags-only relay that falls silent keeps its sessions when another becomes active") {
  Script script;
  script.flags(kA, "ALONE");
  script.silent(kA);
  CHECK(script.target() == kA);
  const Decision decision = script.flags(kB, "ALONE");
  CHECK(script.target() == kB);
  CHECK(decision.end_sessions.empty());
}

TEST_CASE("a pair's master is preferred to a flags-only relay") {
  Script script;
  script.flags(kA, "MASTER", 9);
  script.pair(kB, "MASTER", 1, "b");
  CHECK(script.target() == kB);
}

TEST_CASE("why there is no target is told by node") {
  Script script;
  CHECK(script.follower.explain() == "relay 1 does not answer, relay 2 does not answer");
  script.pair(kA, "FENCED", 3, "b");
  CHECK(script.follower.explain() == "node a is FENCED, relay 2 does not answer");
}

TEST_CASE("whatever the reports, no target has a lower epoch than was ever seen, and memory never falls") {
  // All sequences of four reports out of these; the invariants are those that keep a plant safe.
  struct Word {
    std::size_t relay;
    const char* state;  ///< nullptr: silence
    Epoch epoch;
    const char* master;
  };
  const std::vector<Word> words{{kA, "MASTER", 1, "a"}, {kA, "ALONE", 2, "a"},   {kA, "FENCED", 3, "b"},
                                {kA, nullptr, 0, ""},   {kB, "STANDBY", 1, "a"}, {kB, "ALONE", 2, "b"},
                                {kB, "ALONE", 3, "b"},  {kB, "STALE", 2, "a"},   {kB, nullptr, 0, ""}};
  const std::size_t n = words.size();
  std::vector<std::optional<RelayReport>> reports;
  for (const Word& word : words) {
    reports.emplace_back();
    const std::string node = word.relay == kA ? "a" : "b";
    if (word.state) reports.back() = *parse_report(pair_status(node, word.state, word.epoch, word.master));
  }
  for (std::size_t code = 0; code < n * n * n * n; ++code) {
    Follower follower(2, {});
    Epoch highest = 0;
    bool active[2] = {false, false};
    for (std::size_t step = 0, rest = code; step < 4; ++step, rest /= n) {
      const Word& word = words[rest % n];
      const auto& report = reports[rest % n];
      const Decision decision =
          report ? follower.on_report(word.relay, *report) : follower.on_silence(word.relay);
      highest = std::max(highest, word.epoch);
      if (report) active[word.relay] = report->active;
      const auto target = follower.target();
      bool right = follower.memory().epoch == highest;
      for (const std::size_t ended : decision.end_sessions) right = right && target && *target != ended;
      if (target)
        right = right && active[*target] && follower.memory().master == (*target == kA ? Node::a : Node::b);
      if (right) continue;
      FAIL("sequence " << code << ", step " << step);
    }
  }
  SUCCEED();
}
