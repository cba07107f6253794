#include "server-relay/gate/waits.h"

#include <map>
#include <random>
#include <set>

#include <catch2/catch.hpp>

using namespace pgtandem;

TEST_CASE("a parked session tries again when one of those in its way moves") {
  Waits waits;
  int retries = 0;
  REQUIRE(waits.park(1, {2, 3}, [&] { ++retries; }));
  waits.moved(4);
  CHECK(retries == 0);
  waits.moved(3);
  CHECK(retries == 1);
  waits.moved(2);
  CHECK(retries == 1);
  CHECK(waits.parked() == 0);
}

TEST_CASE("whoever does not know what is in its way tries again when anybody moves") {
  Waits waits;
  int retries = 0;
  REQUIRE(waits.park(1, {}, [&] { ++retries; }));
  waits.moved(9);
  CHECK(retries == 1);
}

TEST_CASE("whoever would close a circle is not parked") {
  Waits waits;
  const auto nothing = [] {};
  REQUIRE(waits.park(1, {2}, nothing));
  CHECK_FALSE(waits.park(2, {1}, nothing));
  REQUIRE(waits.park(2, {3}, nothing));
  CHECK_FALSE(waits.park(3, {4, 1}, nothing));
  CHECK_FALSE(waits.is_parked(3));
  waits.unpark(1);
  CHECK(waits.park(3, {1}, nothing));
}

TEST_CASE("a circle that does not include the newcomer is no reason to refuse it") {
  Waits waits;
  const auto nothing = [] {};
  REQUIRE(waits.park(1, {2}, nothing));
  REQUIRE(waits.park(2, {3}, nothing));
  CHECK(waits.park(5, {1}, nothing));
  CHECK_FALSE(waits.park(3, {5}, nothing));
}

TEST_CASE("of those behind one session the first goes on, the others stay behind it") {
  Waits waits;
  std::vector<int> order;
  REQUIRE(waits.park(2, {1}, [&] { order.push_back(2); }));
  REQUIRE(waits.park(3, {1}, [&] { order.push_back(3); }));
  REQUIRE(waits.park(4, {1}, [&] { order.push_back(4); }));
  waits.moved(1);
  CHECK(order == std::vector<int>{2});
  waits.moved(2);
  CHECK(order == std::vector<int>{2, 3});
  waits.moved(3);
  CHECK(order == std::vector<int>{2, 3, 4});
}

TEST_CASE("a guessed place closes no circle") {
  Waits waits;
  const auto nothing = [] {};
  REQUIRE(waits.park(2, {1}, nothing));
  REQUIRE(waits.park(3, {1}, nothing));
  waits.moved(1);  // 3 is taken to be behind 2
  CHECK(waits.park(2, {3}, nothing));
}

TEST_CASE("who stands behind a guess goes on when that one moves, and in its turn") {
  Waits waits;
  std::vector<int> order;
  waits.park_behind(2, 1, [&] { order.push_back(2); });
  waits.park_behind(3, 1, [&] { order.push_back(3); });
  CHECK(waits.is_parked(2));
  waits.moved(4);
  CHECK(order.empty());
  waits.moved(1);
  CHECK(order == std::vector<int>{2});
  waits.moved(1);
  CHECK(order == std::vector<int>{2});
  waits.moved(2);
  CHECK(order == std::vector<int>{2, 3});
  CHECK(waits.parked() == 0);
}

TEST_CASE("those behind a guess and those behind a known blocker are one queue") {
  Waits waits;
  std::vector<int> order;
  REQUIRE(waits.park(2, {1}, [&] { order.push_back(2); }));
  waits.park_behind(3, 1, [&] { order.push_back(3); });
  REQUIRE(waits.park(4, {1, 9}, [&] { order.push_back(4); }));
  waits.moved(1);
  waits.moved(2);
  CHECK(order == std::vector<int>{2, 3});
  waits.moved(9);  // still in the way of 4
  CHECK(order == std::vector<int>{2, 3, 4});
}

TEST_CASE("a place behind a guess closes no circle, from either side") {
  Waits waits;
  const auto nothing = [] {};
  waits.park_behind(1, 2, nothing);
  CHECK(waits.park(2, {1}, nothing));
  waits.park_behind(3, 3, nothing);
  CHECK(waits.is_parked(3));
  CHECK(waits.park(4, {3}, nothing));
  waits.park_behind(2, 1, nothing);  // the blocker it had is forgotten with the place
  CHECK(waits.park(1, {2}, nothing));
}

TEST_CASE("behind nobody is behind anybody") {
  Waits waits;
  int retries = 0;
  waits.park_behind(1, 0, [&] { ++retries; });
  waits.moved(7);
  CHECK(retries == 1);
}

TEST_CASE("who is parked again keeps its place in time") {
  Waits waits;
  std::vector<int> order;
  REQUIRE(waits.park(2, {1}, [&] { order.push_back(2); }));
  REQUIRE(waits.park(3, {1}, [&] { order.push_back(3); }));
  REQUIRE(waits.park(2, {1, 9}, [&] { order.push_back(20); }));
  waits.moved(1);
  CHECK(order == std::vector<int>{20});
}

TEST_CASE("who would close a circle is not parked, not even where it was before") {
  Waits waits;
  int retries = 0;
  REQUIRE(waits.park(1, {9}, [&] { ++retries; }));
  REQUIRE(waits.park(2, {1}, [] {}));
  CHECK_FALSE(waits.park(1, {2}, [] {}));
  CHECK_FALSE(waits.is_parked(1));
  waits.moved(9);
  CHECK(retries == 0);
}

TEST_CASE("who is not parked any more is not called") {
  Waits waits;
  int retries = 0;
  waits.park_behind(1, 2, [&] { ++retries; });
  waits.unpark(1);
  waits.unpark(1);
  waits.moved(2);
  CHECK(retries == 0);
}

TEST_CASE("a retry may park again at once") {
  Waits waits;
  int retries = 0;
  REQUIRE(waits.park(1, {2}, [&] {
    ++retries;
    CHECK(waits.park(1, {2}, [&] { ++retries; }));
  }));
  waits.moved(2);
  CHECK(retries == 1);
  CHECK(waits.is_parked(1));
}

// Random parkings of twelve sessions, whose known blockers never form a circle; then each that is not parked
// moves in its turn.
TEST_CASE("everybody who is parked is called, once, however they stand") {
  const unsigned seed = GENERATE(range(1U, 60U));
  std::mt19937 random(seed);
  Waits waits;
  std::map<std::uint64_t, int> calls;
  std::set<std::uint64_t> parked;
  for (int step = 0; step < 400; ++step) {
    const std::uint64_t session = 1 + random() % 12;
    INFO("seed " << seed << ", step " << step);
    if (parked.contains(session)) continue;
    if (random() % 3 == 0) {
      waits.moved(session);
      continue;
    }
    const auto retry = [&calls, &parked, session] {
      ++calls[session];
      REQUIRE(parked.erase(session) == 1);
    };
    const std::uint64_t other = 1 + random() % 12;
    if (other == session) continue;
    if (random() % 2 == 0) {
      waits.park_behind(session, other, retry);
      parked.insert(session);
    } else if (waits.park(session, {other, 1 + (other + random() % 5) % 12}, retry)) {
      parked.insert(session);
    }
    REQUIRE(waits.parked() == parked.size());
  }
  // Guesses may stand in a circle: their own patience ends that. Known blockers cannot.
  for (int round = 0; round < 200 && !parked.empty(); ++round) {
    for (std::uint64_t session = 1; session <= 12; ++session) {
      if (!parked.contains(session)) waits.moved(session);
    }
    if (round % 10 == 9 && !parked.empty()) {
      const std::uint64_t impatient = *parked.begin();
      waits.unpark(impatient);
      parked.erase(impatient);
    }
  }
  CHECK(parked.empty());
  CHECK(waits.parked() == 0);
}

TEST_CASE("who waits on the standby is known until it goes on") {
  Waits waits;
  CHECK_FALSE(waits.waits_on_standby(1));
  waits.note_wait_on_standby(1);
  waits.note_wait_on_standby(2);
  CHECK(waits.waits_on_standby(1));
  waits.unpark(1);
  CHECK_FALSE(waits.waits_on_standby(1));
  CHECK(waits.waits_on_standby(2));
  CHECK(waits.parked() == 0);
}

TEST_CASE("who moves lets go the first of each sort of those who want different rows") {
  Waits waits;
  std::vector<int> tried;
  const auto retry = [&tried](int who) { return [&tried, who] { tried.push_back(who); }; };
  REQUIRE(waits.park(2, {1}, retry(2), 70));
  REQUIRE(waits.park(3, {1}, retry(3), 70));
  REQUIRE(waits.park(4, {1}, retry(4), 80));
  waits.park_behind(5, 1, retry(5), 90);
  REQUIRE(waits.park(6, {7}, retry(6), 70));
  waits.moved(1);
  std::ranges::sort(tried);
  CHECK(tried == std::vector<int>{2, 4, 5});
  CHECK(waits.is_parked(3));  // behind the second now
  CHECK(waits.is_parked(6));
  tried.clear();
  waits.moved(2);
  CHECK(tried == std::vector<int>{3});
  waits.moved(7);
  CHECK(tried == std::vector<int>{3, 6});
}
