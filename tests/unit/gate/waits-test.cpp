#include "server-relay/gate/waits.h"

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
