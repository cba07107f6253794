#include "server-relay/gate/gate.h"

#include <map>
#include <random>
#include <set>

#include <catch2/catch.hpp>

using namespace pgtandem;

namespace {

GateRequest request(std::uint64_t session, GateMode mode, bool excludes_reads = false) {
  return {session, mode, excludes_reads};
}

/// A gate and what it has told.
struct Rig {
  Gate gate;
  std::set<std::uint64_t> inside;

  bool enter(std::uint64_t session, GateMode mode, bool excludes_reads = false) {
    const bool at_once =
        gate.enter(request(session, mode, excludes_reads), [this, session] { inside.insert(session); });
    if (at_once) inside.insert(session);
    return at_once;
  }
  void leave(std::uint64_t session) {
    inside.erase(session);
    gate.leave(session);
  }
};

}  // namespace

TEST_CASE("one write is inside at a time, in the order of asking") {
  Rig rig;
  CHECK(rig.enter(1, GateMode::write));
  CHECK_FALSE(rig.enter(2, GateMode::write));
  CHECK_FALSE(rig.enter(3, GateMode::write));
  rig.leave(1);
  CHECK(rig.inside == std::set<std::uint64_t>{2});
  rig.leave(2);
  CHECK(rig.inside == std::set<std::uint64_t>{3});
}

TEST_CASE("ends pass together, before the writes that wait, and not beside a write") {
  Rig rig;
  rig.enter(1, GateMode::write);
  rig.enter(2, GateMode::write);
  CHECK_FALSE(rig.enter(3, GateMode::end));
  CHECK_FALSE(rig.enter(4, GateMode::end));
  rig.leave(1);
  CHECK(rig.inside == std::set<std::uint64_t>{3, 4});
  CHECK(rig.enter(5, GateMode::end));
  rig.leave(3);
  rig.leave(4);
  CHECK(rig.inside == std::set<std::uint64_t>{5});
  rig.leave(5);
  CHECK(rig.inside == std::set<std::uint64_t>{2});
}

TEST_CASE("a write that turns into an end lets ends in, and no write before it has left") {
  Rig rig;
  rig.enter(1, GateMode::write);
  rig.enter(2, GateMode::write);
  rig.enter(3, GateMode::end);
  rig.gate.turn_into_end(1);
  CHECK(rig.inside == std::set<std::uint64_t>{1, 3});
  rig.leave(3);
  CHECK(rig.inside == std::set<std::uint64_t>{1});
  rig.leave(1);
  CHECK(rig.inside == std::set<std::uint64_t>{2});
}

TEST_CASE("who is alone is alone, save for the ends that it waits for") {
  Rig rig;
  rig.enter(1, GateMode::alone);
  CHECK_FALSE(rig.enter(2, GateMode::end));
  CHECK_FALSE(rig.enter(3, GateMode::end));
  rig.gate.let_ends_pass(1, {3});
  CHECK(rig.inside == std::set<std::uint64_t>{1, 3});
  rig.leave(3);
  rig.leave(1);
  CHECK(rig.inside == std::set<std::uint64_t>{2});
}

TEST_CASE("a session that waits with a write in the way of the one that is alone is named") {
  Rig rig;
  rig.enter(1, GateMode::alone);
  rig.enter(2, GateMode::write);
  rig.enter(3, GateMode::end);
  CHECK(rig.gate.waiting_without_end({3}) == 0);
  CHECK(rig.gate.waiting_without_end({3, 2}) == 2);
}

TEST_CASE("a statement that excludes reads waits for those under way, and new ones wait for it") {
  Rig rig;
  bool read_again = false;
  CHECK(rig.gate.enter_read([] {}));
  CHECK_FALSE(rig.enter(1, GateMode::write, true));
  CHECK_FALSE(rig.gate.enter_read([&] { read_again = true; }));
  rig.gate.leave_read();
  CHECK(rig.inside == std::set<std::uint64_t>{1});
  CHECK_FALSE(read_again);
  rig.leave(1);
  CHECK(read_again);
  CHECK(rig.gate.counts().reading == 1);
}

TEST_CASE("giving up lets reads and the next in") {
  Rig rig;
  bool read_again = false;
  CHECK(rig.gate.enter_read([] {}));
  CHECK_FALSE(rig.enter(1, GateMode::write, true));
  CHECK_FALSE(rig.enter(2, GateMode::write));
  CHECK_FALSE(rig.gate.enter_read([&] { read_again = true; }));
  rig.leave(1);
  CHECK(read_again);
  CHECK(rig.inside == std::set<std::uint64_t>{2});
}

// A model of what may be inside together, walked by random steps of eight sessions.
TEST_CASE("at any time: one write, or ends, or one alone; and everybody gets in at last") {
  const unsigned seed = GENERATE(range(1U, 40U));
  std::mt19937 random(seed);
  Rig rig;
  std::map<std::uint64_t, GateMode> asked;
  for (int step = 0; step < 2000; ++step) {
    const std::uint64_t session = 1 + random() % 8;
    const auto has = asked.find(session);
    if (has == asked.end()) {
      const GateMode mode = std::array{GateMode::write, GateMode::end, GateMode::alone}[random() % 3];
      asked[session] = mode;
      rig.enter(session, mode, mode == GateMode::write && random() % 4 == 0);
    } else if (rig.inside.contains(session)) {
      if (has->second == GateMode::write && random() % 2 == 0) {
        has->second = GateMode::end;
        rig.gate.turn_into_end(session);
      } else {
        asked.erase(has);
        rig.leave(session);
      }
    } else if (random() % 16 == 0) {
      asked.erase(has);
      rig.leave(session);  // gives up
    }
    std::size_t ends = 0;
    for (const std::uint64_t inside : rig.inside) ends += asked.at(inside) == GateMode::end ? 1 : 0;
    INFO("seed " << seed << ", step " << step);
    REQUIRE((rig.inside.size() <= 1 || ends == rig.inside.size()));
    REQUIRE((!rig.inside.empty() || asked.empty()));
  }
  while (!asked.empty()) {
    REQUIRE(!rig.inside.empty());
    const std::uint64_t session = *rig.inside.begin();
    asked.erase(session);
    rig.leave(session);
  }
  CHECK(rig.gate.counts().waiting == 0);
}
