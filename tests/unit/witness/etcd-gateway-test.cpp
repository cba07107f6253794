#include "common/witness/etcd-gateway.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "common/base/crypto.h"
#include "common/witness/witness-value.h"

using namespace pgtandem;
using nlohmann::json;

namespace {

// Literal answers of etcd 3.4.23 (Debian 12).
const std::string kHeader =
    R"("header":{"cluster_id":"324952591200643719","member_id":"3319814642761637952","revision":"2","raft_term":"2"})";
const std::string kKvs =
    R"("kvs":[{"key":"L3BndGFuZGVtL3g=","create_revision":"2","mod_revision":"2","version":"1","value":"b25l"}],"count":"1")";
const std::string kKey = "/pgtandem/x";
const std::string kPut =
    "{" + kHeader + R"(,"succeeded":true,"responses":[{"response_put":{"header":{"revision":"2"}}}]})";
const std::string kRefused =
    "{" + kHeader + R"(,"responses":[{"response_range":{"header":{"revision":"2"},)" + kKvs + "}}]}";

const Secret kPairKey{"a key of the pair, long enough"};

Uuid uuid(const char* text) {
  return *parse_uuid(text);
}

WitnessRecord example() {
  WitnessRecord record;
  record.role.cluster = uuid("11111111-2222-4333-8444-555555555555");
  record.role.epoch = 7;
  record.role.master = record.role.data_node = Node::a;
  record.role.generation = uuid("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee");
  record.role.sync = true;
  record.boot = uuid("01234567-89ab-4def-8123-456789abcdef");
  record.beat = 12;
  return record;
}

std::string range_answer(const std::string& value, const std::string& key) {
  return json{{"header", {{"cluster_id", "5"}, {"revision", "9"}}},
              {"kvs", json::array({{{"key", to_base64(as_bytes(key))},
                                    {"mod_revision", "8"},
                                    {"value", to_base64(as_bytes(value))}}})}}
      .dump();
}

}  // namespace

TEST_CASE("a read asks for the one key, in base64") {
  CHECK(etcd_range_request(kKey) == R"({"key":"L3BndGFuZGVtL3g="})");
}

TEST_CASE("a swap compares the key's last change, puts, or else reads the key") {
  const json swap = json::parse(etcd_swap_request(kKey, "one", 7));
  CHECK(swap ==
        json::parse(
            R"({"compare":[{"target":"MOD","result":"EQUAL","key":"L3BndGFuZGVtL3g=","mod_revision":"7"}],
    "success":[{"requestPut":{"key":"L3BndGFuZGVtL3g=","value":"b25l"}}],
    "failure":[{"requestRange":{"key":"L3BndGFuZGVtL3g="}}]})"));
}

TEST_CASE("an erasure is the same with a deletion") {
  const json erase = json::parse(etcd_erase_request(kKey, 7));
  CHECK(erase.at("success") == json::parse(R"([{"requestDeleteRange":{"key":"L3BndGFuZGVtL3g="}}])"));
  CHECK(erase.at("compare") == json::parse(etcd_swap_request(kKey, "one", 7)).at("compare"));
  CHECK(erase.at("failure") == json::parse(etcd_swap_request(kKey, "one", 7)).at("failure"));
  const std::string answer =
      "{" + kHeader + R"(,"succeeded":true,"responses":[{"response_delete_range":{"deleted":"1"}}]})";
  REQUIRE(parse_etcd_erase(answer, kKey));
  CHECK(parse_etcd_erase(answer, kKey)->succeeded);
  CHECK_FALSE(parse_etcd_swap(answer, kKey));
}

TEST_CASE("a swap that expects no key compares its creation") {
  const json swap = json::parse(etcd_swap_request(kKey, "one", 0));
  CHECK(
      swap.at("compare").at(0) ==
      json::parse(R"({"target":"CREATE","result":"EQUAL","key":"L3BndGFuZGVtL3g=","create_revision":"0"})"));
}

TEST_CASE("answers of a real etcd are read") {
  const Result<EtcdAnswer> none = parse_etcd_range("{" + kHeader + "}", kKey);
  REQUIRE(none);
  CHECK(none->cluster_id == 324952591200643719U);
  CHECK(none->revision == 2);
  CHECK_FALSE(none->value);

  const Result<EtcdAnswer> one = parse_etcd_range("{" + kHeader + "," + kKvs + "}", kKey);
  REQUIRE(one);
  REQUIRE(one->value);
  CHECK(one->value->value == "one");
  CHECK(one->value->mod_revision == 2);

  const Result<EtcdAnswer> put = parse_etcd_swap(kPut, kKey);
  REQUIRE(put);
  CHECK(put->succeeded);
  CHECK_FALSE(put->value);

  const Result<EtcdAnswer> refused = parse_etcd_swap(kRefused, kKey);
  REQUIRE(refused);
  CHECK_FALSE(refused->succeeded);  // the key is left out of the answer
  REQUIRE(refused->value);
  CHECK(refused->value->mod_revision == 2);

  const Result<EtcdAnswer> gone = parse_etcd_swap(
      "{" + kHeader + R"(,"responses":[{"response_range":{"header":{"revision":"2"}}}]})", kKey);
  REQUIRE(gone);
  CHECK_FALSE(gone->succeeded);
  CHECK_FALSE(gone->value);

  const Result<Secret> token = parse_etcd_auth("{" + kHeader + R"(,"token":"HxuHopwNkKNcdSOO.12"})");
  REQUIRE(token);
  CHECK(token->reveal() == "HxuHopwNkKNcdSOO.12");
}

TEST_CASE("an answer that claims success without having put is no success") {
  CHECK_FALSE(parse_etcd_swap("{" + kHeader + R"(,"succeeded":true})", kKey));
  CHECK_FALSE(parse_etcd_erase(kPut, kKey));
  CHECK_FALSE(parse_etcd_swap("{" + kHeader + R"(,"succeeded":true,"responses":[]})", kKey));
  CHECK_FALSE(
      parse_etcd_swap("{" + kHeader + R"(,"succeeded":"true","responses":[{"response_put":{}}]})", kKey));
  CHECK_FALSE(
      parse_etcd_swap("{" + kHeader + R"(,"succeeded":true,"responses":[{"response_range":{}}]})", kKey));
  CHECK_FALSE(parse_etcd_swap("{" + kHeader + R"(,"responses":[{"response_put":{}}]})", kKey));
}

TEST_CASE("malformed answers are errors, never a record") {
  const std::string good = "{" + kHeader + "," + kKvs + "}";
  for (std::size_t length = 0; length < good.size(); ++length) {
    CHECK_FALSE(parse_etcd_range(good.substr(0, length), kKey));
  }
  CHECK_FALSE(parse_etcd_range(good, "/pgtandem/y"));                     // another key
  CHECK_FALSE(parse_etcd_range("{" + kKvs + "}", kKey));                  // no header
  CHECK_FALSE(parse_etcd_range(R"({"header":{"revision":"2"}})", kKey));  // no cluster
  CHECK_FALSE(parse_etcd_range(R"({"header":{"cluster_id":1,"revision":"2"}})", kKey));
  CHECK_FALSE(parse_etcd_range(R"({"header":{"cluster_id":"1x","revision":"2"}})", kKey));
  CHECK_FALSE(parse_etcd_range("{" + kHeader + R"(,"kvs":{}})", kKey));
  CHECK_FALSE(parse_etcd_range("{" + kHeader + R"(,"kvs":[7]})", kKey));
  CHECK_FALSE(parse_etcd_range(
      "{" + kHeader + R"(,"kvs":[{"key":"L3BndGFuZGVtL3g=","mod_revision":"3","value":""}]})", kKey));
  CHECK_FALSE(parse_etcd_range(std::string(kMaxEtcdAnswer + 1, ' '), kKey));
  CHECK_FALSE(parse_etcd_auth("{" + kHeader + "}"));
}

TEST_CASE("a refused token is told from a wrong password") {
  CHECK(
      parse_etcd_failure(
          401,
          R"({"error":"etcdserver: invalid auth token","message":"etcdserver: invalid auth token","code":16})")
          .token_refused);
  CHECK(parse_etcd_failure(400, R"({"error":"etcdserver: user name is empty","code":3})").token_refused);
  const EtcdFailure wrong = parse_etcd_failure(
      400, R"({"error":"etcdserver: authentication failed, invalid user ID or password","code":3})");
  CHECK_FALSE(wrong.token_refused);
  CHECK(wrong.text.find("invalid user ID or password") != std::string::npos);
  CHECK(parse_etcd_failure(503, "<html>").text == "the witness answered with status 503");
}

TEST_CASE("a password may hold anything") {
  const Secret password("a\"b\\c");
  CHECK(json::parse(etcd_auth_request("root", password)) == json{{"name", "root"}, {"password", "a\"b\\c"}});
}

TEST_CASE("a failure in plain text is shown as far as it is one line of text") {
  const auto text_of = [](std::string_view body) { return parse_etcd_failure(400, body).text; };
  const std::string bare = "the witness answered with status 400";
  CHECK(text_of("CommonName of client will be ignored\nmore") ==
        bare + ": CommonName of client will be ignored");
  CHECK(text_of("<html>no</html>") == bare);
  CHECK(text_of("\x1b[2Jno") == bare);
  CHECK(text_of("") == bare);
  CHECK(text_of(std::string(10000, 'x')).size() < 400);
}

TEST_CASE("a record comes back as it went, and only with its pair's key and name") {
  const WitnessRecord record = example();
  const std::string value = encode_witness_value(kPairKey, record);
  const Result<WitnessRecord> read = parse_witness_value(kPairKey, record.role.cluster, value);
  REQUIRE(read);
  CHECK(*read == record);
  CHECK_FALSE(parse_witness_value(Secret("another key of another pair"), record.role.cluster, value));
  CHECK_FALSE(parse_witness_value(Secret(), record.role.cluster, value));
  CHECK_FALSE(parse_witness_value(kPairKey, uuid("99999999-2222-4333-8444-555555555555"), value));
  CHECK(witness_key("/pgtandem", record.role.cluster) == "/pgtandem/11111111-2222-4333-8444-555555555555");
}

TEST_CASE("no changed, cut or added byte of a record is accepted") {
  const WitnessRecord record = example();
  const std::string value = encode_witness_value(kPairKey, record);
  for (std::size_t i = 0; i < value.size(); ++i) {
    CHECK_FALSE(parse_witness_value(kPairKey, record.role.cluster, value.substr(0, i)));
    for (const char flip : {1, 2, 32}) {
      std::string changed = value;
      changed[i] = char(changed[i] ^ flip);
      CHECK_FALSE(parse_witness_value(kPairKey, record.role.cluster, changed));
    }
  }
  CHECK_FALSE(parse_witness_value(kPairKey, record.role.cluster, value + " "));
}

TEST_CASE("an answer is taken only with a record of this pair; another witness has another identity") {
  const WitnessRecord record = example();
  const Uuid cluster = record.role.cluster;
  const std::string key = witness_key("/pgtandem", cluster);
  const Result<EtcdAnswer> answer =
      parse_etcd_range(range_answer(encode_witness_value(kPairKey, record), key), key);
  REQUIRE(answer);
  const Result<WitnessReply> reply = to_witness_reply(*answer, kPairKey, cluster);
  REQUIRE(reply);
  CHECK(reply->record == record);
  CHECK(reply->record_revision == 8);
  CHECK(reply->revision == 9);
  CHECK_FALSE(reply->swapped);
  EtcdAnswer elsewhere = *answer;
  elsewhere.cluster_id = 6;
  CHECK(to_witness_reply(elsewhere, kPairKey, cluster)->identity != reply->identity);

  const Result<EtcdAnswer> foreign = parse_etcd_range(range_answer("{}", key), key);
  REQUIRE(foreign);
  CHECK_FALSE(to_witness_reply(*foreign, kPairKey, cluster));
}
