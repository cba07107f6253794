// The goal of these tests: a time in the binary format becomes the text that the server itself would give.
#include "server-relay/rewriting/transaction-time.h"

#include <catch2/catch.hpp>

using namespace pgtandem;

namespace {

std::optional<std::string> text_of(std::int64_t microseconds) {
  std::string bytes;
  for (int shift = 56; shift >= 0; shift -= 8) bytes += char(std::uint64_t(microseconds) >> shift & 0xFF);
  return transaction_time_text(as_bytes(bytes));
}

}  // namespace

TEST_CASE("times around leap days, centuries and the epochs have their text") {
  CHECK(text_of(0) == "2000-01-01 00:00:00.000000+00");
  CHECK(text_of(-1) == "1999-12-31 23:59:59.999999+00");
  CHECK(text_of(762'653'045'000'001) == "2024-03-02 00:04:05.000001+00");
  CHECK(text_of(762'566'399'999'999) == "2024-02-29 23:59:59.999999+00");
  CHECK(text_of(-946'684'800'000'000) == "1970-01-01 00:00:00.000000+00");
  CHECK(text_of(252'455'616'000'000'000) == "10000-01-01 00:00:00.000000+00");
}

TEST_CASE("what is no time of our reckoning has none") {
  CHECK_FALSE(text_of(INT64_MAX));
  CHECK_FALSE(text_of(INT64_MIN));
  CHECK_FALSE(text_of(-63'113'904'000'000'001));  // before Christ
  CHECK_FALSE(transaction_time_text(as_bytes("")));
  CHECK_FALSE(transaction_time_text(as_bytes("1234567")));
  CHECK_FALSE(transaction_time_text(as_bytes("123456789")));
}
