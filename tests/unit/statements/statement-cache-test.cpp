// The goal of these tests: the cache gives what a parse would give, within its bounds, and forgets in time.
#include "server-relay/statements/statement-cache.h"

#include <chrono>
#include <iostream>

#include <catch2/catch.hpp>

#include "tests/unit/statements/statement-fixtures.h"

using namespace pgtandem;
using namespace pgtandem::testing;

TEST_CASE("a text is parsed once, whatever its whole numbers, and shared") {
  StatementCache cache;
  const auto catalogue = small_catalogue();
  const auto first = cache.classify("UPDATE t SET a = 1 WHERE b = 2", catalogue);
  CHECK(first->kind == StatementKind::write);
  CHECK(cache.classify("UPDATE t SET a = 33 WHERE b = 44", catalogue) == first);
  CHECK(cache.classify("UPDATE t SET a = 33 WHERE b = 'x'", catalogue) != first);
  CHECK(cache.hits() == 1);
  CHECK(cache.misses() == 2);
  CHECK(cache.size() == 2);
}

TEST_CASE("numbers that matter keep their texts apart") {
  StatementCache cache;
  const auto catalogue = small_catalogue();
  CHECK(cache.classify("EXPLAIN (ANALYZE 0) DELETE FROM t", catalogue)->kind == StatementKind::read);
  CHECK(cache.classify("EXPLAIN (ANALYZE 1) DELETE FROM t", catalogue)->kind == StatementKind::write);
  CHECK_FALSE(cache.classify("SELECT 1", catalogue)->parameters);
  CHECK(cache.classify("SELECT $1", catalogue)->parameters);
  // float(0) is refused by the grammar itself, float(9) is not.
  CHECK(cache.classify("SELECT 1::float(0)", catalogue)->kind == StatementKind::opaque);
  CHECK(cache.classify("SELECT 1::float(9)", catalogue)->kind == StatementKind::read);
}

TEST_CASE("another catalogue makes the cache forget, none leaves it alone") {
  StatementCache cache;
  const auto catalogue = small_catalogue();
  const char* text = "SELECT a FROM t";
  CHECK(cache.classify(text, catalogue)->kind == StatementKind::read);
  CHECK(cache.classify(text, nullptr)->kind == StatementKind::write);
  CHECK(cache.classify(text, catalogue)->kind == StatementKind::read);
  CHECK(cache.hits() == 1);
  CHECK(cache.size() == 2);
  cache.classify(text, small_catalogue());
  CHECK(cache.size() == 1);
}

TEST_CASE("the text's dialect counts before the cache does") {
  StatementCache cache;
  const auto catalogue = small_catalogue();
  const char* text = "SELECT 'a\\'";
  CHECK(cache.classify(text, catalogue)->kind == StatementKind::read);
  CHECK(cache.classify(text, catalogue, {.standard_strings = false})->kind == StatementKind::opaque);
  CHECK(cache.classify(text, catalogue)->kind == StatementKind::read);
}

TEST_CASE("the cache keeps the latest used within its bounds") {
  StatementCache cache;
  const auto catalogue = small_catalogue();
  const auto kept = cache.classify("SELECT kept FROM t", catalogue);
  for (std::size_t i = 0; i < 2 * StatementCache::kMaxEntries; ++i) {
    cache.classify("SELECT a" + std::to_string(i) + " FROM t", catalogue);
    if (i % 1000 == 0) CHECK(cache.classify("SELECT kept FROM t", catalogue) == kept);
  }
  CHECK(cache.size() == StatementCache::kMaxEntries);
  for (std::size_t i = 0; i < 600; ++i) {
    cache.classify("SELECT '" + std::to_string(i) + std::string(StatementCache::kMaxText - 100, 'x') + "'",
                   catalogue);
    CHECK(cache.bytes() <= StatementCache::kMaxBytes);
  }
  CHECK(cache.size() < 300);
  const std::size_t size = cache.size();
  cache.classify("SELECT '" + std::string(StatementCache::kMaxText, 'x') + "'", catalogue);
  CHECK(cache.size() == size);
}

TEST_CASE("the cost of one classification", "[.bench]") {
  const auto catalogue = small_catalogue();
  StatementCache cache;
  const auto measure = [](const char* what, const auto& work) {
    constexpr int kRounds = 20000;
    for (int i = 0; i < 100; ++i) work();
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kRounds; ++i) work();
    const std::chrono::duration<double, std::micro> taken = std::chrono::steady_clock::now() - start;
    std::cout << what << ": " << taken.count() / kRounds << " us\n";
  };
  for (const std::string text :
       {"UPDATE pgbench_accounts SET abalance = abalance + -4711 WHERE aid = 12345;",
        "SELECT abalance FROM pgbench_accounts WHERE aid = 12345;", "BEGIN;",
        "SELECT relname, lower(relname) FROM pg_class WHERE relname = 'x' AND relname <> \"relname\""}) {
    std::cout << text << "\n";
    measure("  parsed", [&] { (void)classify(text, catalogue.get()).kind; });
    measure("  cached", [&] { (void)cache.classify(text, catalogue)->kind; });
  }
}
