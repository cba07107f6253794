#include "common/roles/witness-hand.h"

#include <catch2/catch.hpp>

using namespace pgtandem;
using namespace std::chrono_literals;
using Heard = WitnessHand::Heard;

namespace {

Uuid uuid(int number) {
  Uuid result;
  result.bytes[15] = std::byte(number);
  return result;
}

const Uuid kBoot = uuid(1);
const Uuid kPeerBoot = uuid(2);
const Uuid kIdentity = uuid(9);

RoleRecord role(Epoch epoch, Node master) {
  return {uuid(50), epoch, master, master, uuid(60), true};
}

/// A witness of one key, whose answers come when the test says so.
struct Witness {
  WitnessReply read() const {
    WitnessReply reply;
    reply.identity = kIdentity;
    reply.revision = revision;
    reply.record = record;
    reply.record_revision = key_revision;
    return reply;
  }
  WitnessReply swap(const WitnessHand::Question& question) {
    if (question.expected != key_revision) return read();
    put(question.record);
    WitnessReply reply = read();
    reply.swapped = true;
    reply.record.reset();
    return reply;
  }
  void put(const WitnessRecord& written) {
    record = written;
    key_revision = ++revision;
  }

  std::uint64_t revision = 1;
  std::uint64_t key_revision = 0;
  std::optional<WitnessRecord> record;
};

struct Rig {
  WitnessHand hand{kBoot};
  Witness witness;
  std::chrono::milliseconds now{1000};
  WitnessHand::Ticket ticket = 0;

  WitnessHand::Question ask(const std::optional<RoleRecord>& renewal = {}) {
    const auto question = hand.next(now, renewal);
    REQUIRE(question);
    hand.asked(now, ++ticket, *question);
    return *question;
  }
  Heard read() {
    const auto question = ask();
    REQUIRE_FALSE(question.swap);
    return hand.hear(now, ticket, witness.read());
  }
};

}  // namespace

TEST_CASE("what is wanted is written, and gives the right from its sending") {
  Rig rig;
  CHECK(rig.read() == Heard::seen);
  rig.hand.want(role(1, Node::a));
  rig.now += 10ms;
  const auto question = rig.ask();
  REQUIRE(question.swap);
  CHECK(question.expected == 0);
  CHECK(question.record.boot == kBoot);
  rig.now += 700ms;
  CHECK(rig.hand.hear(rig.now, rig.ticket, rig.witness.swap(question)) == Heard::written);
  CHECK(rig.hand.right_from() == 1010ms);
  CHECK_FALSE(rig.hand.wants());
}

TEST_CASE("one question at a time; a master renews and others read every 500 ms") {
  Rig rig;
  (void)rig.ask();
  CHECK_FALSE(rig.hand.next(rig.now + 10s, {}));
  CHECK_FALSE(rig.hand.wake());
  (void)rig.hand.hear(rig.now, rig.ticket, rig.witness.read());
  CHECK_FALSE(rig.hand.next(rig.now + 499ms, {}));
  CHECK(rig.hand.wake() == rig.now + 500ms);
  rig.now += 500ms;
  CHECK(rig.ask(role(1, Node::a)).swap);
}

TEST_CASE("a write whose answer was lost is repeated, and known again as its own") {
  Rig rig;
  (void)rig.read();
  rig.hand.want(role(1, Node::a));
  const auto first = rig.ask();
  (void)rig.witness.swap(first);
  rig.now += 1s;
  rig.hand.silent(rig.now, rig.ticket);
  CHECK_FALSE(rig.hand.next(rig.now, {}));  // not at once
  rig.now += 100ms;
  const auto again = rig.ask();
  CHECK(again.record.beat > first.record.beat);
  CHECK(again.expected == first.expected);
  CHECK(rig.hand.hear(rig.now, rig.ticket, rig.witness.swap(again)) == Heard::written);
  // The right counts from the write that landed, not from the one that was refused.
  CHECK(rig.hand.right_from() == 1000ms);
  CHECK(rig.hand.revision() == rig.witness.key_revision);
}

TEST_CASE("a late landing of an old write does not undo a later one") {
  Rig rig;
  (void)rig.read();
  rig.hand.want(role(1, Node::a));
  const auto first = rig.ask();
  rig.now += 1s;
  rig.hand.silent(rig.now, rig.ticket);
  rig.now += 100ms;
  const auto again = rig.ask();
  CHECK(rig.hand.hear(rig.now, rig.ticket, rig.witness.swap(again)) == Heard::written);
  CHECK_FALSE(rig.witness.swap(first).swapped);
}

TEST_CASE("another's record in the way is a refusal") {
  Rig rig;
  (void)rig.read();
  rig.hand.want(role(1, Node::a));
  const auto question = rig.ask();
  rig.witness.put({role(2, Node::b), kPeerBoot, 1});
  CHECK(rig.hand.hear(rig.now, rig.ticket, rig.witness.swap(question)) == Heard::refused);
  REQUIRE(rig.hand.record());
  CHECK(rig.hand.record()->role.master == Node::b);
  CHECK_FALSE(rig.hand.right_from());
}

TEST_CASE("a write builds on what was known when it was wanted, not on what a read shows meanwhile") {
  Rig rig;
  rig.witness.put({role(1, Node::b), kPeerBoot, 1});
  (void)rig.read();
  rig.now += 600ms;
  const auto reading = rig.ask();
  REQUIRE_FALSE(reading.swap);
  // Decided while the read is on its way: the master seemed silent.
  rig.hand.want(role(2, Node::a));
  rig.witness.put({role(1, Node::b), kPeerBoot, 2});
  CHECK(rig.hand.hear(rig.now, rig.ticket, rig.witness.read()) == Heard::refused);
}

TEST_CASE("the same revision counts from the first time it was seen") {
  Rig rig;
  rig.witness.put({role(1, Node::b), kPeerBoot, 1});
  (void)rig.read();
  const auto since = rig.now;
  for (int i = 0; i < 5; ++i) {
    rig.now += 500ms;
    CHECK(rig.read() == Heard::seen);
    CHECK(rig.hand.seen_since() == since);
  }
  rig.witness.put({role(1, Node::b), kPeerBoot, 2});
  rig.now += 500ms;
  (void)rig.read();
  CHECK(rig.hand.seen_since() == rig.now);
}

TEST_CASE("a witness that was set back, wiped or exchanged gives no authority") {
  Rig rig;
  rig.witness.revision = 40;
  rig.witness.put({role(1, Node::a), kBoot, 1});
  (void)rig.read();
  REQUIRE(rig.hand.trusted());
  rig.now += 600ms;
  (void)rig.ask();
  WitnessReply reply = rig.witness.read();
  SECTION("another witness") {
    reply.identity = uuid(10);
  }
  SECTION("an older state of the whole") {
    reply.revision = 39;
  }
  SECTION("an older state of the key") {
    reply.record_revision -= 1;
  }
  SECTION("the key is gone") {
    reply.record.reset();
    reply.record_revision = 0;
  }
  CHECK(rig.hand.hear(rig.now, rig.ticket, reply) == Heard::untrusted);
  CHECK_FALSE(rig.hand.trusted());
  CHECK_FALSE(rig.hand.flaw().empty());
  // Nothing is written before it has been read and found right again.
  rig.now += 600ms;
  rig.hand.want(role(2, Node::a));
  CHECK_FALSE(rig.ask().swap);
}

TEST_CASE("an earlier life's memory counts: an older witness is seen at the first answer") {
  Rig rig;
  rig.hand.begin(kIdentity, 30);
  rig.witness.revision = 20;
  rig.witness.put({role(1, Node::a), kPeerBoot, 1});
  CHECK(rig.read() == Heard::untrusted);
}

TEST_CASE("an answer to nothing changes nothing") {
  Rig rig;
  CHECK(rig.hand.hear(rig.now, 7, rig.witness.read()) == Heard::nothing);
  (void)rig.ask();
  WitnessReply reply = rig.witness.read();
  reply.swapped = true;
  CHECK(rig.hand.hear(rig.now, rig.ticket, reply) == Heard::nothing);
  CHECK_FALSE(rig.hand.right_from());
}
