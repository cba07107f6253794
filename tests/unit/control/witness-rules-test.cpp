/// Which node may begin or cease to use a witness, and when: the order, and what the witness holds.
#include "server-relay/tool/witness-rules.h"

#include <catch2/catch.hpp>

#include "tests/unit/control/status-examples.h"

using namespace pgtandem;
using namespace pgtandem::tool;
using nlohmann::json;
using pgtandem::control_test::status_json;
using Kind = Verdict::Kind;

namespace {

const std::string kGeneration = "5f0e8a52-7d0c-4f7e-9d53-0d6f8a1b2c3d";
const WitnessPlace kPlace{"cluster-1", "/pgtandem/uuid", 3000};
const RecordFacts kNone;
/// What the master of status_json() keeps.
const RecordFacts kKept{17, "", 3, Node::a, kGeneration, true};
const RecordFacts kStale{9, "", 2, Node::b, "another", true};

json witness_of(const WitnessPlace& place) {
  json witness = control_test::witness_json();
  witness["identity"] = place.identity;
  witness["key"] = place.key;
  witness["term_ms"] = place.term_ms;
  return witness;
}

/// A joined pair, a is master; tests change what they are about.
struct Pair {
  json a = status_json("a");
  json b = status_json("b");
  std::optional<StatusView> view_a, view_b;

  void uses(json& node, const WitnessPlace& place = kPlace) { node["witness"] = witness_of(place); }
  NodesSeen seen_from(Node self) {
    view_a = *parse_status(a.dump());
    view_b = *parse_status(b.dump());
    return self == Node::a ? NodesSeen{self, &*view_a, &*view_b} : NodesSeen{self, &*view_b, &*view_a};
  }
  Verdict add(Node self, const RecordFacts& record = kNone) {
    return judge_add(seen_from(self), kPlace, record);
  }
  Verdict remove(Node self) { return judge_remove(seen_from(self)); }
};

bool says(const Verdict& verdict, const std::string& part) {
  INFO(verdict.text << " | " << verdict.what_to_do);
  CHECK(verdict.kind != Kind::go);
  return (verdict.text + " | " + verdict.what_to_do).find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("add: the standby first, then the master") {
  Pair pair;
  CHECK(pair.add(Node::b).kind == Kind::go);
  CHECK(says(pair.add(Node::a), "on the host of node b first"));
  pair.uses(pair.b);
  CHECK(pair.add(Node::a).kind == Kind::go);
  CHECK(pair.add(Node::b).kind == Kind::go);  // once more: its file was set back
}

TEST_CASE("add: on the master only when the standby is joined and uses the same witness with the same term") {
  Pair pair;
  pair.uses(pair.b);
  pair.a["standby"]["joined"] = false;
  pair.a["role"]["state"] = "ALONE";
  CHECK(says(pair.add(Node::a), "not joined"));
  pair = {};
  pair.uses(pair.b, {"cluster-2", kPlace.key, 3000});
  CHECK(says(pair.add(Node::a), "another etcd cluster"));
  pair.uses(pair.b, {kPlace.identity, "/other/uuid", 3000});
  CHECK(says(pair.add(Node::a), "'/other/uuid'"));
  pair.uses(pair.b, {kPlace.identity, kPlace.key, 5000});
  CHECK(says(pair.add(Node::a), "witness.term = 5000ms"));
  pair.uses(pair.b);
  pair.b["witness"]["answers"] = false;
  pair.b["witness"]["trouble"] = "connection refused";
  CHECK(says(pair.add(Node::a), "connection refused"));
  pair.uses(pair.b);
  pair.b["witness"]["flaw"] = "it was set back";
  CHECK(says(pair.add(Node::a), "does not trust its witness: it was set back"));
}

TEST_CASE("add: a record of an earlier time is refused, and may be replaced while nobody listens to it") {
  Pair pair;
  for (const RecordFacts& record :
       {kStale, kKept, RecordFacts{5, "it is not signed by this pair's key", 0, Node::none, "", false}}) {
    const Verdict verdict = pair.add(Node::b, record);
    CHECK(verdict.kind == Kind::replace_first);
    CHECK(says(verdict, "etcdctl del /pgtandem/uuid"));
    CHECK(says(verdict, "--replace-record"));
  }
  // The standby listens to it already: that must end first.
  pair.uses(pair.b);
  const Verdict listening = pair.add(Node::a, kStale);
  CHECK(listening.kind == Kind::refused);
  CHECK(says(listening, "on the host of node b: pgtandem witness remove"));
  const Verdict own = pair.add(Node::b, kStale);
  CHECK(own.kind == Kind::refused);
  CHECK(says(own, "restart this node's relay"));
}

TEST_CASE("add: beside a master that uses the witness, what it keeps there is what must be there") {
  Pair pair;
  pair.uses(pair.a);
  CHECK(pair.add(Node::b, kKept).kind == Kind::go);
  CHECK(pair.add(Node::a, kKept).kind == Kind::go);
  CHECK(says(pair.add(Node::b, kStale), "another record than node a keeps"));
  CHECK(says(pair.add(Node::b, kNone), "another record than node a keeps"));
  RecordFacts other_generation = kKept;
  other_generation.generation = "another";
  CHECK(pair.add(Node::b, other_generation).kind == Kind::refused);
  for (const char* state : {"STALE", "RECOVER", "BOOTSTRAP"}) {
    pair.b["role"]["state"] = state;
    pair.a["standby"]["joined"] = false;
    pair.a["role"]["state"] = "ALONE";
    CHECK(pair.add(Node::b, kKept).kind == Kind::go);
  }
}

TEST_CASE("add: both relays must answer, and one of them serve; a pair that never began may take any order") {
  Pair pair;
  const NodesSeen whole = pair.seen_from(Node::b);
  CHECK(says(judge_add({Node::b, whole.own, nullptr}, kPlace, kNone), "relay of node a does not answer"));
  CHECK(says(judge_add({Node::b, nullptr, whole.peer}, kPlace, kNone), "relay of node b does not answer"));
  pair.a["role"]["state"] = pair.b["role"]["state"] = "RECOVER";
  CHECK(says(pair.add(Node::b), "no node is master"));
  pair.a["role"]["epoch"] = pair.b["role"]["epoch"] = 0;
  CHECK(pair.add(Node::a).kind == Kind::go);
  CHECK(pair.add(Node::b).kind == Kind::go);
  CHECK(pair.add(Node::b, kStale).kind == Kind::replace_first);
  pair = {};
  pair.b["role"]["state"] = "STALE";
  pair.a["role"]["state"] = "ALONE";
  pair.a["standby"]["joined"] = false;
  CHECK(says(pair.add(Node::b), "pgtandem bootstrap"));
  pair = {};
  pair.a["mode"] = "flags";
  CHECK(says(pair.add(Node::b), "no node of a pair"));
}

TEST_CASE("remove: a healthy witness leaves the standby first, then the master") {
  Pair pair;
  pair.uses(pair.a);
  pair.uses(pair.b);
  CHECK(pair.remove(Node::b).kind == Kind::go);
  CHECK(says(pair.remove(Node::a), "on the host of node b first"));
  pair.b["witness"] = nullptr;
  CHECK(pair.remove(Node::a).kind == Kind::go);
  pair.uses(pair.b);
  pair.b["role"]["state"] = "STALE";
  pair.a["role"]["state"] = "ALONE";
  pair.a["standby"]["joined"] = false;
  CHECK(pair.remove(Node::b).kind == Kind::go);
  CHECK(pair.remove(Node::a).kind == Kind::refused);
}

TEST_CASE("remove: a witness without authority leaves the master first, and only while the pair is joined") {
  for (const bool away : {true, false}) {
    Pair pair;
    pair.uses(pair.a);
    pair.uses(pair.b);
    pair.a["witness"]["answers"] = !away;
    pair.a["witness"]["flaw"] = away ? "" : "it is another witness than before";
    CHECK(pair.remove(Node::a).kind == Kind::go);
    CHECK(says(pair.remove(Node::b), "on the host of node a first"));
    CHECK(says(pair.remove(Node::b), "promise"));
    pair.a["witness"] = nullptr;
    CHECK(pair.remove(Node::b).kind == Kind::go);
    pair.uses(pair.a);
    pair.a["witness"]["flaw"] = "it was set back";
    pair.a["standby"]["joined"] = false;
    pair.a["role"]["state"] = "ALONE";
    CHECK(says(pair.remove(Node::a), "mend the witness"));
  }
}

TEST_CASE("remove: what the relay does not use can go; else both must be heard, and one serve") {
  Pair pair;
  CHECK(pair.remove(Node::a).kind == Kind::go);
  const NodesSeen whole = pair.seen_from(Node::a);
  CHECK(judge_remove({Node::a, whole.own, nullptr}).kind == Kind::go);
  CHECK(says(judge_remove({Node::a, nullptr, whole.peer}), "relay of node a does not answer"));
  pair.uses(pair.a);
  pair.uses(pair.b);
  const NodesSeen both = pair.seen_from(Node::a);
  CHECK(says(judge_remove({Node::a, both.own, nullptr}), "relay of node b does not answer"));
  pair.a["role"]["state"] = "FENCED";
  CHECK(says(pair.remove(Node::a), "no node is master"));
}

TEST_CASE("the record may be deleted when neither relay uses a witness") {
  Pair pair;
  CHECK(judge_erase(pair.seen_from(Node::a), kPlace.key).kind == Kind::go);
  pair.uses(pair.b);
  CHECK(says(judge_erase(pair.seen_from(Node::a), kPlace.key), "relay of node b still uses"));
  pair.b["witness"] = nullptr;
  const NodesSeen whole = pair.seen_from(Node::a);
  CHECK(says(judge_erase({Node::a, whole.own, nullptr}, kPlace.key), "does not answer"));
}

TEST_CASE("no switchover from a node with a witness to one without") {
  Pair pair;
  NodesSeen seen = pair.seen_from(Node::a);
  CHECK(switchover_obstacle(*seen.own, seen.peer).empty());
  pair.uses(pair.b);
  seen = pair.seen_from(Node::a);
  CHECK(switchover_obstacle(*seen.own, seen.peer).empty());
  CHECK_FALSE(switchover_obstacle(*seen.peer, seen.own).empty());
  CHECK(switchover_obstacle(*seen.peer, nullptr).empty());
  pair.uses(pair.a);
  seen = pair.seen_from(Node::a);
  CHECK(switchover_obstacle(*seen.peer, seen.own).empty());
}

TEST_CASE("a record in words") {
  CHECK(record_text(kNone, "/k") == "no record under /k");
  CHECK(record_text(kKept, "/k") == "/k, revision 17: epoch 3, master a, standby joined");
  CHECK(record_text({5, "torn\x1b", 0, Node::none, "", false}, "/k") == "/k, revision 5: torn?");
}
