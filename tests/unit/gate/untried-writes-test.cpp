// The goal of these tests: a write that cannot be undone and a transaction with locks that nobody knows of
// never run without one of them having seen the other.
#include "server-relay/gate/untried-writes.h"

#include <thread>

#include <catch2/catch.hpp>

using pgtandem::UntriedWrites;

TEST_CASE("what is untried is refused while another transaction has untold locks, not for its own") {
  UntriedWrites writes;
  CHECK(writes.begin_untried(false));
  CHECK(writes.is_anything_untried());
  writes.end_untried();
  CHECK_FALSE(writes.is_anything_untried());
  writes.begin_untold();
  CHECK_FALSE(writes.begin_untried(false));
  CHECK_FALSE(writes.is_anything_untried());  // who was refused is not under way
  CHECK(writes.begin_untried(true));
  writes.begin_untold();
  CHECK_FALSE(writes.begin_untried(true));
  writes.end_untold();
  writes.end_untold();
  CHECK(writes.begin_untried(false));
}

TEST_CASE("of two that begin at once at least one sees the other") {
  constexpr int kRounds = 20'000;
  UntriedWrites writes;
  std::atomic<int> round{0};
  std::atomic<int> done{0};
  std::atomic<bool> untried_went{false};
  std::atomic<bool> untold_went{false};
  int both = 0;
  std::thread other([&] {
    for (int i = 1; i <= kRounds; ++i) {
      while (round.load() != i) std::this_thread::yield();
      writes.begin_untold();
      untold_went = !writes.is_anything_untried();
      ++done;
    }
  });
  for (int i = 1; i <= kRounds; ++i) {
    done = 0;
    round = i;
    untried_went = writes.begin_untried(false);
    while (done.load() != 1) std::this_thread::yield();
    both += untried_went && untold_went ? 1 : 0;
    if (untried_went) writes.end_untried();
    writes.end_untold();
  }
  other.join();
  CHECK(both == 0);
}
