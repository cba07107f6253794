#include "server-relay/session/ahead-replies.h"

#include <vector>

#include <catch2/catch.hpp>

#include "server-relay/replies/reply-reader.h"

using namespace pgtandem;

namespace {

std::string message(char type, const std::string& body) {
  return ByteWriter().u8(std::uint8_t(type)).u32(std::uint32_t(body.size() + 4)).text(body).take();
}
std::string row(const std::string& value) {
  return message('D', value);
}
std::string complete(const std::string& tag) {
  return message('C', tag + '\0');
}
const std::string ready = message('Z', "T");
const std::string notice = message('N', std::string("SNOTICE\0\0", 9));

struct Step {
  std::string wire;
  ReplyProgress place;  ///< in front of it
};

/// The messages with their places.
std::vector<Step> steps_of(const std::vector<std::string>& messages) {
  std::vector<Step> steps;
  ReplyReader reader(false);
  MessageSplitter splitter;
  for (const std::string& wire : messages) {
    steps.push_back({wire, reader.progress()});
    ByteSpan input = as_bytes(wire);
    while (const auto piece = splitter.next(input)) (void)reader.on_piece(*piece);
  }
  steps.push_back({"", reader.progress()});
  return steps;
}

std::string joined(const std::vector<Step>& steps, std::size_t from) {
  std::string out;
  for (std::size_t i = from; i < steps.size(); ++i) out += steps[i].wire;
  return out;
}

const std::vector<std::string> kReply{message('1', ""),
                                      message('2', ""),
                                      message('T', "columns"),
                                      row("one"),
                                      row("two"),
                                      row("three"),
                                      row(std::string(5000, 'x')),
                                      complete("SELECT 4"),
                                      row("again"),
                                      ready,
                                      complete("UPDATE 1"),
                                      ready,
                                      row("next"),
                                      row("unit"),
                                      complete("SELECT 2"),
                                      ready};

}  // namespace

TEST_CASE("a reply goes on with the standby's from any place to any other") {
  const std::vector<Step> steps = steps_of(kReply);
  for (std::size_t begin = 0; begin < kReply.size(); ++begin) {
    for (std::size_t lost = begin; lost < steps.size(); ++lost) {
      AheadReplies ahead;
      for (std::size_t i = begin; i < kReply.size(); ++i) ahead.add(steps[i].place, as_bytes(steps[i].wire));
      const auto rest = ahead.from(steps[lost].place, {});
      REQUIRE(rest);
      CHECK(as_text(*rest) == joined(steps, lost));
    }
  }
}

TEST_CASE("rows in another order, or other rows, are no prefix") {
  const std::vector<Step> masters = steps_of(kReply);
  for (const bool swapped : {true, false}) {
    std::vector<std::string> others = kReply;
    if (swapped) {
      std::swap(others[3], others[4]);
    } else {
      others[4] = row("TWO");
    }
    const std::vector<Step> standbys = steps_of(others);
    AheadReplies ahead;
    for (std::size_t i = 0; i < others.size(); ++i) ahead.add(standbys[i].place, as_bytes(others[i]));
    for (const std::size_t lost : {5, 6, 7}) CHECK_FALSE(ahead.from(masters[lost].place, {}));
    CHECK(ahead.from(masters[3].place, {}));
    CHECK(ahead.from(masters[8].place, {}));  // behind the outcome, which is compared elsewhere
  }
}

TEST_CASE("a place that the standby has not come to is not found") {
  const std::vector<Step> steps = steps_of(kReply);
  AheadReplies ahead;
  for (std::size_t i = 0; i < 5; ++i) ahead.add(steps[i].place, as_bytes(steps[i].wire));
  CHECK(ahead.from(steps[5].place, {}));
  CHECK_FALSE(ahead.from(steps[6].place, {}));
}

TEST_CASE("what a server says when it likes has no place of its own") {
  std::vector<std::string> with_notices;
  for (const std::string& wire : kReply) {
    with_notices.push_back(notice);
    with_notices.push_back(wire);
  }
  const std::vector<Step> plain = steps_of(kReply);
  const std::vector<Step> steps = steps_of(with_notices);
  AheadReplies ahead;
  for (const Step& step : steps) ahead.add(step.place, as_bytes(step.wire));
  for (std::size_t lost = 0; lost < kReply.size(); ++lost) {
    const auto rest = ahead.from(plain[lost].place, {});
    REQUIRE(rest);
    CHECK(as_text(*rest) == joined(steps, 2 * lost));
  }
}

TEST_CASE("a row that has come in part is kept from its beginning") {
  const std::vector<Step> steps = steps_of(kReply);
  AheadReplies ahead;
  for (std::size_t i = 0; i < 6; ++i) ahead.add(steps[i].place, as_bytes(steps[i].wire));
  ahead.add(steps[6].place, as_bytes(steps[6].wire).first(2000));
  ahead.add(steps[6].place, as_bytes(steps[6].wire).subspan(2000, 1000));
  const auto rest = ahead.from(steps[4].place, {});
  REQUIRE(rest);
  CHECK(as_text(*rest) == steps[4].wire + steps[5].wire + steps[6].wire.substr(0, 3000));
  CHECK(as_text(ahead.from(steps[6].place, {}).value()) == steps[6].wire.substr(0, 3000));
}

TEST_CASE("what the master has said, too, is dropped when it has become much") {
  std::vector<std::string> many;
  for (int i = 0; i < 4000; ++i) many.push_back(row("row " + std::to_string(i) + std::string(100, '.')));
  const std::vector<Step> steps = steps_of(many);
  constexpr std::size_t kLead = 50;
  AheadReplies ahead;
  std::size_t most = 0;
  for (std::size_t i = 0; i < many.size(); ++i) {
    ahead.add(steps[i].place, as_bytes(many[i]));
    const std::size_t master = i < kLead ? 0 : i - kLead;
    ahead.master_is_at(steps[master].place, {});
    most = std::max(most, ahead.size());
    if (i % 97 == 0) {
      const auto rest = ahead.from(steps[master].place, {});
      REQUIRE(rest);
      std::string wanted;
      for (std::size_t j = master; j <= i; ++j) wanted += many[j];
      REQUIRE(as_text(*rest) == wanted);
    }
  }
  CHECK(most < (128U << 10));
}
