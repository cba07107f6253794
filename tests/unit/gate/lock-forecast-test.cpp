// The goal of these tests: the forecast names who has a row, never forgets what another one has, and has a
// bound.
#include "server-relay/gate/lock-forecast.h"

#include <map>
#include <random>
#include <set>
#include <thread>

#include <catch2/catch.hpp>

using namespace pgtandem;
using Claim = LockForecast::Claim;

TEST_CASE("one of two who want the same rows has them, the other one is told by whom they are held") {
  LockForecast forecast;
  CHECK(forecast.holder(7, 1).session == 0);
  CHECK(forecast.claim(1, 7) == Claim::new_claim);
  CHECK(forecast.claim(1, 7) == Claim::own_already);
  CHECK(forecast.claim(2, 7) == Claim::taken);
  CHECK(forecast.holder(7, 2).session == 1);
  CHECK(forecast.holder(7, 1).session == 0);
  CHECK(forecast.holder(8, 2).session == 0);
}

TEST_CASE("who has locked the rows has them, whatever was foreseen") {
  LockForecast forecast;
  CHECK(forecast.claim(1, 7) == Claim::new_claim);
  CHECK(forecast.add(2, 7));
  CHECK(forecast.holder(7, 1).session == 2);
  CHECK_FALSE(forecast.add(2, 7));
  std::vector<std::uint64_t> of_first{7};
  forecast.drop(1, of_first);  // it thinks that it has them
  CHECK(of_first.empty());
  CHECK(forecast.holder(7, 1).session == 2);
}

TEST_CASE("what is dropped is free, and only what the session has") {
  LockForecast forecast;
  CHECK(forecast.claim(1, 7) == Claim::new_claim);
  CHECK(forecast.claim(1, 8) == Claim::new_claim);
  CHECK(forecast.claim(2, 9) == Claim::new_claim);
  std::vector<std::uint64_t> keys{7, 9, 7, 1000};
  forecast.drop(1, keys);
  CHECK(forecast.holder(7, 3).session == 0);
  CHECK(forecast.holder(8, 3).session == 1);
  CHECK(forecast.holder(9, 3).session == 2);
  std::vector<std::uint64_t> none;
  forecast.drop(1, none);
  CHECK(forecast.holder(8, 3).session == 1);
}

TEST_CASE("beyond its bound nothing more is foreseen, and what is known stays") {
  LockForecast forecast;
  for (std::uint64_t key = 1; key <= LockForecast::kMaxKeys; ++key) REQUIRE(forecast.add(1, key));
  const std::uint64_t beyond = LockForecast::kMaxKeys + 1;
  CHECK(forecast.claim(2, beyond) == Claim::not_kept);
  CHECK_FALSE(forecast.add(2, beyond));
  CHECK(forecast.holder(beyond, 3).session == 0);
  CHECK(forecast.claim(2, 5) == Claim::taken);
  CHECK(forecast.add(2, 5));
  CHECK(forecast.holder(5, 1).session == 2);
  std::vector<std::uint64_t> one{6};
  forecast.drop(1, one);
  CHECK(forecast.claim(2, beyond) == Claim::new_claim);
}

// Sessions that keep the list that the header asks of them, against a map of who has locked last.
TEST_CASE("at any time the forecast knows the last that has locked a row, and nobody who is through") {
  const unsigned seed = GENERATE(range(1U, 20U));
  std::mt19937 random(seed);
  LockForecast forecast;
  std::map<std::uint64_t, std::uint64_t> holders;
  std::map<std::uint64_t, std::vector<std::uint64_t>> keys;
  for (int step = 0; step < 2000; ++step) {
    const std::uint64_t session = 1 + random() % 6;
    const std::uint64_t key = 1 + random() % 10;
    const auto held = holders.find(key);
    INFO("seed " << seed << ", step " << step);
    switch (random() % 3) {
      case 0: {
        const Claim claim = forecast.claim(session, key);
        const Claim expected = held == holders.end()     ? Claim::new_claim
                               : held->second == session ? Claim::own_already
                                                         : Claim::taken;
        REQUIRE(claim == expected);
        if (claim == Claim::new_claim) keys[session].push_back(key);
        if (claim != Claim::taken) holders[key] = session;
        break;
      }
      case 1:
        REQUIRE(forecast.add(session, key) == (held == holders.end() || held->second != session));
        if (held == holders.end() || held->second != session) keys[session].push_back(key);
        holders[key] = session;
        break;
      default:
        forecast.drop(session, keys[session]);
        std::erase_if(holders, [session](const auto& entry) { return entry.second == session; });
    }
    for (std::uint64_t any = 1; any <= 10; ++any) {
      const auto of = holders.find(any);
      REQUIRE(forecast.holder(any, 99).session == (of == holders.end() ? 0 : of->second));
    }
  }
}

TEST_CASE("of threads that claim the same row at once one gets it") {
  LockForecast forecast;
  for (std::uint64_t key = 1; key <= 200; ++key) {
    std::vector<std::thread> threads;
    std::vector<Claim> claims(4);
    for (std::size_t i = 0; i < claims.size(); ++i)
      threads.emplace_back([&, i] { claims[i] = forecast.claim(i + 1, key); });
    for (std::thread& thread : threads) thread.join();
    REQUIRE(std::ranges::count(claims, Claim::new_claim) == 1);
    REQUIRE(std::ranges::count(claims, Claim::taken) == 3);
  }
}

TEST_CASE("what one row's key names is certain from the first such claim to the end") {
  LockForecast forecast;
  CHECK(forecast.claim(1, 7) == Claim::new_claim);
  CHECK(forecast.holder(7, 2) == LockForecast::Holder{1, false});
  CHECK(forecast.claim(2, 7, true) == Claim::taken);
  CHECK(forecast.holder(7, 2) == LockForecast::Holder{1, false});
  CHECK(forecast.claim(1, 7, true) == Claim::own_already);
  CHECK(forecast.holder(7, 2) == LockForecast::Holder{1, true});
  CHECK_FALSE(forecast.add(1, 7));
  CHECK(forecast.holder(7, 2) == LockForecast::Holder{1, true});
  forecast.doubt(2, {7});
  CHECK(forecast.holder(7, 2) == LockForecast::Holder{1, true});
  forecast.doubt(1, {8, 7});
  CHECK(forecast.holder(7, 2) == LockForecast::Holder{1, false});
  CHECK(forecast.add(2, 7));
  CHECK(forecast.holder(7, 1) == LockForecast::Holder{2, false});
}
