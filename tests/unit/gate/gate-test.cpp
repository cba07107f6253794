#include "server-relay/gate/gate.h"

#include <array>
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

TEST_CASE("locals and ends pass together, never beside a write or one that is alone") {
  Rig rig;
  CHECK(rig.enter(1, GateMode::local));
  CHECK(rig.enter(2, GateMode::local));
  CHECK(rig.enter(3, GateMode::end));
  rig.gate.turn_into_end(1);
  CHECK(rig.enter(4, GateMode::local));
  CHECK_FALSE(rig.enter(5, GateMode::write));
  for (const std::uint64_t session : {1U, 2U, 3U}) rig.leave(session);
  CHECK(rig.inside == std::set<std::uint64_t>{4});
  rig.leave(4);
  CHECK(rig.inside == std::set<std::uint64_t>{5});
  CHECK_FALSE(rig.enter(6, GateMode::local));
  CHECK_FALSE(rig.enter(7, GateMode::alone));
  rig.leave(5);
  CHECK(rig.inside == std::set<std::uint64_t>{6});
  rig.leave(6);
  CHECK(rig.inside == std::set<std::uint64_t>{7});
  CHECK_FALSE(rig.enter(8, GateMode::local));
}

TEST_CASE("locals that keep coming do not keep a write out") {
  Rig rig;
  CHECK(rig.enter(1, GateMode::local));
  CHECK_FALSE(rig.enter(2, GateMode::write));
  CHECK_FALSE(rig.enter(3, GateMode::local));
  CHECK(rig.enter(4, GateMode::end));
  rig.leave(4);
  CHECK_FALSE(rig.enter(4, GateMode::local));
  rig.leave(1);
  CHECK(rig.inside == std::set<std::uint64_t>{2});
  rig.gate.turn_into_end(2);
  CHECK(rig.inside == std::set<std::uint64_t>{2, 3, 4});
}

TEST_CASE("a local that waits in the way of the one that is alone is named") {
  Rig rig;
  rig.enter(1, GateMode::alone);
  rig.enter(2, GateMode::local);
  CHECK(rig.gate.waiting_without_end({2}) == 2);
  rig.gate.let_ends_pass(1, {2});
  CHECK(rig.inside == std::set<std::uint64_t>{1});
}

TEST_CASE("whose ends may pass is forgotten with the one that let them") {
  Rig rig;
  rig.enter(1, GateMode::alone);
  rig.gate.let_ends_pass(1, {3});
  rig.gate.turn_into_end(1);
  rig.leave(1);
  CHECK(rig.enter(2, GateMode::alone));
  CHECK_FALSE(rig.enter(3, GateMode::end));
  rig.leave(2);
  rig.leave(3);
  CHECK(rig.enter(4, GateMode::write));
  rig.gate.let_ends_pass(4, {3});  // is not alone: nothing passes beside a write
  CHECK_FALSE(rig.enter(3, GateMode::end));
  rig.leave(4);
  rig.leave(3);
  CHECK(rig.enter(5, GateMode::alone));
  CHECK_FALSE(rig.enter(3, GateMode::end));
}

TEST_CASE("who takes too long keeps nobody out any more, and leaving later does no harm") {
  Rig rig;
  rig.enter(1, GateMode::write, true);
  rig.enter(2, GateMode::local);
  bool read_again = false;
  CHECK_FALSE(rig.gate.enter_read([&] { read_again = true; }));
  rig.gate.let_others_pass(1);
  CHECK(read_again);
  CHECK(rig.inside.contains(2));
  rig.gate.turn_into_end(1);
  rig.leave(1);
  CHECK(rig.gate.counts().inside == 1);
  rig.gate.let_others_pass(99);
  CHECK_FALSE(rig.enter(3, GateMode::write));
}

// A model of what may be inside together, walked by random steps of eight sessions.
TEST_CASE("at any time: one write, or ends and locals, or one alone; and everybody gets in at last") {
  const unsigned seed = GENERATE(range(1U, 60U));
  std::mt19937 random(seed);
  Rig rig;
  std::map<std::uint64_t, GateMode> asked;
  std::int64_t reading = 0;
  std::set<std::uint64_t> excluding;
  for (int step = 0; step < 2000; ++step) {
    const std::uint64_t session = 1 + random() % 8;
    const auto has = asked.find(session);
    INFO("seed " << seed << ", step " << step);
    if (random() % 6 == 0) {
      if (reading > 0 && random() % 2 == 0) {
        --reading;
        rig.gate.leave_read();
      } else if (rig.gate.enter_read([&] { ++reading; })) {
        ++reading;
      }
    } else if (has == asked.end()) {
      const GateMode mode =
          std::array{GateMode::write, GateMode::local, GateMode::end, GateMode::alone}[random() % 4];
      asked[session] = mode;
      const bool excludes = mode == GateMode::write && random() % 4 == 0;
      if (excludes) excluding.insert(session);
      const bool at_once = rig.enter(session, mode, excludes);
      for (const auto& [other, its] : asked) {
        const bool waits = !rig.inside.contains(other) && its != GateMode::end;
        REQUIRE_FALSE((at_once && mode != GateMode::end && waits));  // nobody overtakes but ends
      }
    } else if (rig.inside.contains(session)) {
      const bool may_turn = has->second == GateMode::write || has->second == GateMode::local;
      if (may_turn && random() % 2 == 0) {
        has->second = GateMode::end;
        excluding.erase(session);
        rig.gate.turn_into_end(session);
      } else {
        asked.erase(has);
        excluding.erase(session);
        rig.leave(session);
      }
    } else if (random() % 16 == 0) {
      asked.erase(has);
      excluding.erase(session);
      rig.leave(session);  // gives up
    }
    std::size_t shared = 0;
    for (const std::uint64_t inside : rig.inside) {
      const GateMode mode = asked.at(inside);
      shared += mode == GateMode::end || mode == GateMode::local ? 1 : 0;
      REQUIRE((!excluding.contains(inside) || reading == 0));
    }
    REQUIRE((rig.inside.size() <= 1 || shared == rig.inside.size()));
    REQUIRE((!rig.inside.empty() || asked.empty() || reading > 0));
    REQUIRE(rig.gate.counts().inside == rig.inside.size());
    REQUIRE(rig.gate.counts().inside + rig.gate.counts().waiting == asked.size());
    REQUIRE(rig.gate.counts().reading == std::size_t(reading));
  }
  for (; reading > 0; --reading) rig.gate.leave_read();
  while (!asked.empty()) {
    REQUIRE(!rig.inside.empty());
    const std::uint64_t session = *rig.inside.begin();
    asked.erase(session);
    rig.leave(session);
    for (; reading > 0; --reading) rig.gate.leave_read();
  }
  CHECK(rig.gate.counts().waiting == 0);
  CHECK(rig.gate.enter_read([] {}));
}
