#include "common/net/event-stream.h"

#include <vector>

#include <catch2/catch.hpp>

using namespace pgtandem;

namespace {

using Events = std::vector<std::string>;

/// The events of the pieces in order.
Events events_of(const std::vector<std::string>& pieces) {
  EventStream stream;
  Events events;
  for (const std::string& piece : pieces) {
    const auto fed = stream.feed(piece, [&](std::string_view data) {
      events.emplace_back(data);
      return true;
    });
    REQUIRE(fed.ok());
    REQUIRE(*fed);
  }
  return events;
}

}  // namespace

TEST_CASE("events are read by the standard's rules") {
  CHECK(events_of({"data: a\n\ndata:b\n\n"}) == Events{"a", "b"});
  CHECK(events_of({"data: a\ndata: b\n\n"}) == Events{"a\nb"});
  CHECK(events_of({": comment\nevent: x\nid: 1\nretry: 5\ndata:  two blanks\n\n"}) == Events{" two blanks"});
  CHECK(events_of({"\xEF\xBB\xBF"
                   "data: a\n\n"}) == Events{"a"});
  CHECK(events_of({"data\n\n"}) == Events{""});
  CHECK(events_of({"\n\n: nothing\n\n"}).empty());
  CHECK(events_of({"data: a\r\n\r\ndata: b\r\rdata: c\n\n"}) == Events{"a", "b", "c"});
  CHECK(events_of({"database: a\n\n"}).empty());
  CHECK(events_of({"data: not ended\n"}).empty());
}

TEST_CASE("the same events come whatever the pieces") {
  const std::string text = "data: {\"a\":1}\r\n\r\n: x\ndata: b\ndata: c\n\ndata: d\r\rdata: e\n\n";
  const Events whole = events_of({text});
  REQUIRE(whole == Events{"{\"a\":1}", "b\nc", "d", "e"});
  for (std::size_t i = 0; i <= text.size(); ++i) {
    for (std::size_t j = i; j <= text.size(); ++j) {
      REQUIRE(events_of({text.substr(0, i), text.substr(i, j - i), text.substr(j)}) == whole);
    }
  }
}

TEST_CASE("the stream stops where the receiver has enough") {
  EventStream stream;
  int count = 0;
  const auto fed = stream.feed("data: a\n\ndata: b\n\n", [&](std::string_view) { return ++count > 1; });
  REQUIRE(fed.ok());
  CHECK_FALSE(*fed);
  CHECK(count == 1);
}

TEST_CASE("an event that never ends is refused at its limit, in one line or in many") {
  const auto refused = [](const std::string& piece) {
    EventStream stream;
    for (std::size_t sent = 0; sent <= kMaxEventBytes + piece.size(); sent += piece.size()) {
      if (!stream.feed(piece, [](std::string_view) { return true; }).ok()) return true;
    }
    return false;
  };
  CHECK(refused(std::string(4096, 'x')));
  CHECK(refused("data: " + std::string(4096, 'x') + "\n"));
}
