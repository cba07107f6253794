#include "server-relay/oids/catalogue-cache.h"

#include <deque>
#include <stdexcept>
#include <thread>

#include <asio/co_spawn.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <catch2/catch.hpp>

#include "server-relay/service/one-shot.h"
#include "tests/unit/oids/oid-fixtures.h"

using namespace pgtandem;
using namespace pgtandem::testing;

namespace {

using MapPtr = std::shared_ptr<const OidMap>;
using LoadResult = Result<CataloguePair>;

CataloguePair good_pair() {
  return {catalogue_of(kMaster), catalogue_of(kStandby)};
}

/// Loads wait until the test answers them.
class Loads {
 public:
  CatalogueLoader loader() {
    return [this](std::string database) -> asio::awaitable<LoadResult> {
      asked_.push_back(std::move(database));
      const auto answer = std::make_shared<OneShot<LoadResult>>();
      open_.push_back(answer);
      auto waiting =
          OneShot<LoadResult>::wait(answer, std::chrono::steady_clock::now() + std::chrono::minutes(1));
      std::optional<LoadResult> result = co_await std::move(waiting);
      if (!result) throw std::runtime_error("nobody answered the load");
      co_return *std::move(result);
    };
  }
  void answer(LoadResult result) {
    open_.front()->complete(std::move(result));
    open_.pop_front();
  }
  std::size_t open() const { return open_.size(); }
  const std::vector<std::string>& asked() const { return asked_; }

 private:
  std::vector<std::string> asked_;
  std::deque<std::shared_ptr<OneShot<LoadResult>>> open_;
};

struct Fixture {
  asio::io_context context;
  Loads loads;
  CatalogueCache cache{context.get_executor(), loads.loader()};
  std::vector<MapPtr> got;

  void ask(std::string database = "db") {
    asio::co_spawn(
        context,
        [this, wanted = std::move(database)]() -> asio::awaitable<void> {
          MapPtr map = co_await cache.get(wanted);
          got.push_back(std::move(map));
        },
        [](const std::exception_ptr& failure) { CHECK_FALSE(failure); });
    settle();
  }
  /// Runs whatever is ready.
  void settle() {
    context.restart();
    context.poll();
  }
  void answer(LoadResult result) {
    loads.answer(std::move(result));
    settle();
  }
};

}  // namespace

TEST_CASE("the first to ask has the catalogues loaded, and those who ask meanwhile share the load") {
  Fixture f;
  CHECK(f.cache.last("db") == nullptr);
  for (int i = 0; i < 3; ++i) f.ask();
  CHECK(f.loads.asked() == std::vector<std::string>{"db"});
  CHECK(f.got.empty());
  f.answer(good_pair());
  REQUIRE(f.got.size() == 3);
  CHECK(f.got[0]->translate(OidSide::master, OidKind::type, kMaster.mood) == kStandby.mood);
  CHECK(f.got[1] == f.got[0]);
  CHECK(f.cache.last("db") == f.got[0]);
  f.ask();
  CHECK(f.got.size() == 4);
  CHECK(f.loads.asked().size() == 1);
}

TEST_CASE("databases have maps of their own") {
  Fixture f;
  f.ask("one");
  f.ask("two");
  CHECK(f.loads.asked() == std::vector<std::string>{"one", "two"});
  f.answer(good_pair());
  f.answer(CataloguePair{});
  REQUIRE(f.got.size() == 2);
  CHECK_FALSE(f.cache.last("one")->empty());
  CHECK(f.cache.last("two")->empty());
}

TEST_CASE("after mark_dirty the map is loaded again, and until then the last one can be had") {
  Fixture f;
  f.ask();
  f.answer(good_pair());
  const MapPtr old = f.cache.last("db");
  const auto version = f.cache.version("db");
  const auto before = version->load();
  f.cache.mark_dirty("db");
  CHECK(version->load() > before);
  CHECK(f.cache.last("db") == old);
  CHECK(f.loads.open() == 0);
  f.ask();
  CHECK(f.loads.open() == 1);
  f.answer(CataloguePair{});
  CHECK(f.got.back()->empty());
  f.cache.mark_all_dirty();
  f.ask();
  CHECK(f.loads.open() == 1);
  f.answer(good_pair());
  CHECK_FALSE(f.got.back()->empty());
}

TEST_CASE("who asks after a change is not served by a load that began before it") {
  Fixture f;
  f.ask();
  f.cache.mark_dirty("db");
  f.ask();
  CHECK(f.loads.open() == 1);
  f.answer(good_pair());
  CHECK(f.got.size() == 1);
  CHECK(f.loads.open() == 1);
  f.answer(CataloguePair{});
  REQUIRE(f.got.size() == 2);
  CHECK_FALSE(f.got[0]->empty());
  CHECK(f.got[1]->empty());
}

TEST_CASE("a load that fails leaves the last map, and is not repeated at once unless something changed") {
  Fixture f;
  f.ask();
  f.answer(Error{"the server is away"});
  CHECK(f.got.back() == nullptr);
  f.ask();
  CHECK(f.got.size() == 2);
  CHECK(f.loads.asked().size() == 1);
  f.cache.mark_dirty("db");
  f.ask();
  f.answer(good_pair());
  const MapPtr good = f.got.back();
  REQUIRE(good != nullptr);
  f.cache.mark_dirty("db");
  f.ask();
  f.answer(Error{"the server is away"});
  CHECK(f.got.back() == good);
  asio::steady_timer timer(f.context, CatalogueCache::kRetryAfter);
  timer.async_wait([](std::error_code) {});
  f.context.restart();
  f.context.run();
  f.ask();
  CHECK(f.loads.open() == 1);
  f.answer(CataloguePair{});
  CHECK(f.got.back()->empty());
}

TEST_CASE("a loader that throws is a failed load") {
  asio::io_context context;
  CatalogueCache cache(context.get_executor(), [](std::string) -> asio::awaitable<LoadResult> {
    throw std::runtime_error("broken");
    co_return Error{""};
  });
  bool asked = false;
  asio::co_spawn(
      context,
      [&]() -> asio::awaitable<void> {
        MapPtr map = co_await cache.get("db");
        asked = map == nullptr;
      },
      [](const std::exception_ptr& failure) { CHECK_FALSE(failure); });
  context.run();
  CHECK(asked);
}

TEST_CASE("one who gives up waiting does not stop the load for the others") {
  using namespace asio::experimental::awaitable_operators;
  Fixture f;
  bool gave_up = false;
  asio::co_spawn(
      f.context,
      [&]() -> asio::awaitable<void> {
        asio::steady_timer at_once(co_await asio::this_coro::executor, std::chrono::seconds(0));
        const auto first = co_await (f.cache.get("db") || at_once.async_wait(asio::use_awaitable));
        gave_up = first.index() == 1;
      },
      [](const std::exception_ptr& failure) { CHECK_FALSE(failure); });
  f.ask();
  while (!gave_up) f.settle();
  f.answer(good_pair());
  REQUIRE(f.got.size() == 1);
  CHECK(f.got[0] != nullptr);
}

TEST_CASE("destroying the cache lets those who wait go on") {
  asio::io_context context;
  Loads loads;
  auto cache = std::make_unique<CatalogueCache>(context.get_executor(), loads.loader());
  int resumed = 0;
  asio::co_spawn(
      context,
      [&]() -> asio::awaitable<void> {
        const MapPtr map = co_await cache->get("db");
        resumed += map == nullptr ? 1 : 0;
      },
      [](const std::exception_ptr& failure) { CHECK_FALSE(failure); });
  context.poll();
  REQUIRE(loads.open() == 1);
  cache.reset();
  context.poll();
  CHECK(resumed == 1);
  loads.answer(good_pair());
  context.run();
}

TEST_CASE("many threads may ask and mark at once") {
  asio::io_context loading;
  auto guard = asio::make_work_guard(loading);
  std::thread loader([&] { loading.run(); });
  std::atomic<int> loads = 0;
  {
    CatalogueCache cache(loading.get_executor(), [&](std::string) -> asio::awaitable<LoadResult> {
      ++loads;
      co_return good_pair();
    });
    std::atomic<int> good = 0;
    std::vector<std::thread> threads;
    threads.reserve(3);
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        asio::io_context context(1);
        asio::co_spawn(
            context,
            [&]() -> asio::awaitable<void> {
              for (int round = 0; round < 200; ++round) {
                const MapPtr map = co_await cache.get("db");
                if (map && !map->empty()) ++good;
                if (round % 10 == 0) cache.mark_dirty("db");
              }
            },
            [](const std::exception_ptr& failure) {
              if (failure) std::terminate();
            });
        context.run();
      });
    }
    for (auto& thread : threads) thread.join();
    CHECK(good == 600);
    CHECK(loads <= 61);
    CHECK(loads >= 20);
  }
  guard.reset();
  loader.join();
}

TEST_CASE("the tags of statements that make, rename or drop types and functions are known") {
  for (const char* tag : {"CREATE TYPE",
                          "ALTER TYPE",
                          "DROP TYPE",
                          "CREATE DOMAIN",
                          "CREATE TABLE",
                          "CREATE TABLE AS",
                          "DROP TABLE",
                          "ALTER TABLE",
                          "CREATE VIEW",
                          "CREATE MATERIALIZED VIEW",
                          "CREATE FUNCTION",
                          "DROP PROCEDURE",
                          "ALTER ROUTINE",
                          "CREATE AGGREGATE",
                          "CREATE EXTENSION",
                          "ALTER EXTENSION",
                          "DROP SCHEMA",
                          "ALTER SCHEMA",
                          "CREATE FOREIGN TABLE",
                          "IMPORT FOREIGN SCHEMA",
                          "SELECT INTO",
                          "DROP OWNED",
                          "DO",
                          "CALL"}) {
    CHECK(tag_may_change_oids(tag));
  }
  for (const char* tag :
       {"", "SELECT 1", "INSERT 0 1", "UPDATE 5", "CREATE INDEX", "CREATE ROLE", "DROP INDEX", "CREATE",
        "ALTER DATABASE", "DOMAIN", "BEGIN", "COMMIT", "TRUNCATE TABLE", "LOCK TABLE"}) {
    CHECK_FALSE(tag_may_change_oids(tag));
  }
}
