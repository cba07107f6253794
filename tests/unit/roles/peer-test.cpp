#include <catch2/catch.hpp>

#include "common/roles/lineage.h"
#include "common/roles/peer-auth.h"
#include "common/roles/peer-messages.h"
#include "common/roles/role-record.h"

using namespace pgtandem;
using namespace std::chrono_literals;

namespace {

const Secret kKey{"a key of sixteen bytes or more"};

RoleRecord some_record() {
  return {random_uuid(), 17, Node::a, Node::b, random_uuid(), true};
}

NodeReport some_report() {
  NodeReport report;
  report.node = Node::b;
  report.cluster = random_uuid();
  report.boot = random_uuid();
  report.sequence = 12;
  report.state = RoleState::standby;
  report.initialised = true;
  report.epoch = 3;
  report.highest_seen = 5;
  report.master = Node::a;
  report.data_node = Node::a;
  report.lineage = {random_uuid(), {random_uuid(), random_uuid()}};
  report.sync = report.eligible = report.postmaster_ok = true;
  return report;
}

}  // namespace

TEST_CASE("a record of role is accepted under its key and cluster, and no other") {
  const RoleRecord record = some_record();
  const SignedRecord text = sign_record(kKey, record);
  const Result<RoleRecord> back = verify_record(kKey, record.cluster, text);
  REQUIRE(back.ok());
  CHECK(*back == record);
  CHECK_FALSE(verify_record(Secret("another key of the same length"), record.cluster, text).ok());
  CHECK_FALSE(verify_record(Secret(), record.cluster, sign_record(Secret(), record)).ok());
  CHECK_FALSE(verify_record(kKey, random_uuid(), text).ok());
  CHECK_FALSE(verify_record(kKey, record.cluster, {text.payload, ""}).ok());
}

TEST_CASE("a record of role with any byte of its text or MAC changed is refused") {
  const RoleRecord record = some_record();
  const SignedRecord text = sign_record(kKey, record);
  for (std::size_t at = 0; at < text.payload.size(); ++at) {
    SignedRecord changed = text;
    changed.payload[at] = char(changed.payload[at] ^ 1);
    CHECK_FALSE(verify_record(kKey, record.cluster, changed).ok());
  }
  for (std::size_t at = 0; at < text.mac.size(); ++at) {
    SignedRecord changed = text;
    changed.mac[at] = changed.mac[at] == '0' ? '1' : '0';
    CHECK_FALSE(verify_record(kKey, record.cluster, changed).ok());
  }
}

TEST_CASE("a record that names no master or no epoch gives nobody a role, even if it is signed") {
  RoleRecord record = some_record();
  record.master = Node::none;
  CHECK_FALSE(verify_record(kKey, record.cluster, sign_record(kKey, record)).ok());
  record = some_record();
  record.epoch = 0;
  CHECK_FALSE(verify_record(kKey, record.cluster, sign_record(kKey, record)).ok());
}

TEST_CASE("a challenge is good once, for ten seconds") {
  NonceTable table;
  const std::string nonce = table.issue(1000ms);
  CHECK_FALSE(table.redeem("00", 1000ms));
  CHECK(table.redeem(nonce, 10999ms));
  CHECK_FALSE(table.redeem(nonce, 10999ms));
  const std::string late = table.issue(1000ms);
  CHECK_FALSE(table.redeem(late, 11000ms));
}

TEST_CASE("challenges that nobody answers take bounded memory, and the newest stay good") {
  NonceTable table;
  const std::string first = table.issue(0ms);
  for (std::size_t i = 0; i < 10 * kMaxNonces; ++i) (void)table.issue(1ms);
  CHECK(table.outstanding() == kMaxNonces);
  CHECK_FALSE(table.redeem(first, 2ms));
  CHECK(table.redeem(table.issue(2ms), 2ms));
}

TEST_CASE("the MACs depend on every part, and never fit an empty key or MAC") {
  const std::string request = peer_request_mac(kKey, "n", "/v1/peer/hello", "{}");
  CHECK(mac_fits(kKey, peer_request_mac(kKey, "n", "/v1/peer/hello", "{}"), request));
  CHECK(request != peer_request_mac(kKey, "m", "/v1/peer/hello", "{}"));
  CHECK(request != peer_request_mac(kKey, "n", "/v1/peer/join", "{}"));
  CHECK(request != peer_request_mac(kKey, "n", "/v1/peer/hello", "{ }"));
  CHECK(peer_response_mac(kKey, "n", 200, "{}") != peer_response_mac(kKey, "n", 409, "{}"));
  CHECK(peer_response_mac(kKey, "n", 200, "{}") != peer_response_mac(kKey, "m", 200, "{}"));
  CHECK_FALSE(mac_fits(kKey, request, ""));
  CHECK_FALSE(mac_fits(Secret(), "", ""));
  CHECK_FALSE(mac_fits(Secret(), request, request));
}

TEST_CASE("every verb's request comes back as it was sent") {
  const NodeReport report = some_report();
  FenceYourself fence;
  fence.record = sign_record(kKey, some_record());
  const std::vector<PeerBody> bodies = {Hello{},
                                        AskPromise{7, random_uuid(), true, true},
                                        AskPromise{},
                                        AgreeDegrade{3, random_uuid()},
                                        fence,
                                        Leaving{true},
                                        BootstrapTarget{},
                                        Join{true, 1, random_uuid()},
                                        BootstrapDropped{}};
  for (const PeerBody& body : bodies) {
    const std::string text = encode_peer_request({report, body});
    const Result<PeerRequest> back = parse_peer_request(peer_verb(body), text);
    INFO(peer_verb(body));
    REQUIRE(back.ok());
    CHECK(back->report == report);
    CHECK(back->body.index() == body.index());
    CHECK(encode_peer_request(*back) == text);
  }
}

TEST_CASE("an answer comes back as it was sent") {
  const PeerAnswer answer{some_report(), true, true, "because of \"that\"\n"};
  const Result<PeerAnswer> back = parse_peer_answer(encode_peer_answer(answer));
  REQUIRE(back.ok());
  CHECK(back->report == answer.report);
  CHECK(back->ok);
  CHECK(back->clean);
  CHECK(back->why == answer.why);
}

TEST_CASE("a message with a key missing, added, of another type or over its limit is refused") {
  const std::string good = encode_peer_request({some_report(), AskPromise{7, {}, true, false}});
  const auto refused = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
    INFO(text);
    return !parse_peer_request("promise", text).ok();
  };
  CHECK(refused("\"by_operator\":true,", ""));
  CHECK(refused("\"by_operator\":true", "\"by_operator\":1"));
  CHECK(refused("\"by_operator\":true", "\"by_operator\":true,\"more\":1"));
  CHECK(refused("\"epoch\":7", "\"epoch\":-7"));
  CHECK(refused("\"epoch\":7", "\"epoch\":7.0"));
  CHECK(refused("\"state\":\"STANDBY\"", "\"state\":\"KING\""));
  CHECK(refused("\"node\":\"b\"", "\"node\":\"c\""));
  CHECK(refused("\"node\":\"b\"", "\"node\":\"none\""));
  CHECK(refused("\"sequence\":12", "\"sequence\":\"12\""));
  CHECK(refused("\"parents\":[", "\"parents\":[1,"));
  CHECK(refused("\"parents\":[", "\"parents\":[\"\",\"\",\"\",\"\",\"\",\"\",\"\","));
  CHECK(refused("{\"by_operator\"", "[\"by_operator\""));
  CHECK_FALSE(parse_peer_request("promise", "").ok());
  CHECK_FALSE(parse_peer_request("promise", "[]").ok());
  CHECK_FALSE(parse_peer_request("crown", good).ok());
  CHECK_FALSE(parse_peer_request("hello", good).ok());
  CHECK_FALSE(parse_peer_request("promise", std::string(kMaxPeerBody + 1, ' ') + good).ok());
  CHECK_FALSE(parse_peer_request("promise", std::string(kMaxPeerBody, '[')).ok());
  for (std::size_t size = 0; size < good.size(); ++size) {
    CHECK_FALSE(parse_peer_request("promise", std::string_view(good).substr(0, size)).ok());
  }
}

TEST_CASE("generations tell who was left behind from who went on") {
  const Uuid root = random_uuid();
  const Lineage start{root, {}};
  const Lineage left = start.next(random_uuid());
  const Lineage right = start.next(random_uuid());
  CHECK(compare_lineages(start, start) == Kinship::same);
  CHECK(compare_lineages(start, left) == Kinship::mine_older);
  CHECK(compare_lineages(left.next(random_uuid()), start) == Kinship::theirs_older);
  CHECK(compare_lineages(left, right) == Kinship::forked);
  CHECK(compare_lineages(left.next(random_uuid()), right) == Kinship::forked);
  CHECK(compare_lineages(left, {random_uuid(), {}}) == Kinship::unrelated);
  CHECK(compare_lineages({}, left) == Kinship::mine_none);
  CHECK(compare_lineages(left, {}) == Kinship::theirs_none);
}

TEST_CASE("a lineage keeps its last eight parents, the newest first") {
  Lineage lineage{random_uuid(), {}};
  std::vector<Uuid> all{lineage.generation};
  for (int i = 0; i < 12; ++i) {
    lineage = lineage.next(random_uuid());
    all.push_back(lineage.generation);
  }
  REQUIRE(lineage.parents.size() == kMaxParents);
  CHECK(lineage.parents.front() == all[11]);
  CHECK(lineage.parents.back() == all[4]);
}

TEST_CASE("the two nodes never take the same epoch") {
  for (Epoch highest = 0; highest < 50; ++highest) {
    CHECK(next_epoch_of(Node::a, highest) % 2 == 1);
    CHECK(next_epoch_of(Node::b, highest) % 2 == 0);
    for (const Node node : {Node::a, Node::b}) {
      CHECK(next_epoch_of(node, highest) > highest);
      CHECK(next_epoch_of(node, highest) <= highest + 2);
    }
  }
}
