/// The codec against a real etcd, where Debian's etcd-server is installed.
#include <catch2/catch.hpp>

#include "common/witness/etcd-gateway.h"
#include "common/witness/witness-value.h"
#include "tests/unit/witness/test-etcd.h"

using namespace pgtandem;
using namespace pgtandem::testing;

namespace {

const Secret kPairKey{"a key of the pair, long enough"};

}  // namespace

TEST_CASE("a real etcd swaps once for each revision, and shows what is there to the one that lost") {
  if (!etcd_is_installed()) return;
  const TestEtcd etcd;
  WitnessRecord record;
  record.role.cluster = random_uuid();
  record.role.epoch = 1;
  record.role.master = record.role.data_node = Node::a;
  record.role.generation = random_uuid();
  record.boot = random_uuid();
  record.beat = 1;
  const Uuid cluster = record.role.cluster;
  const std::string key = witness_key("/pgtandem", cluster);
  const auto read = [&]() -> WitnessReply {
    const auto answer = parse_etcd_range(etcd.post(kEtcdRangePath, etcd_range_request(key)).body, key);
    REQUIRE(answer);
    const auto reply = to_witness_reply(*answer, kPairKey, cluster);
    REQUIRE(reply);
    return *reply;
  };
  const auto swap = [&](const WitnessRecord& wanted, std::uint64_t expected) -> WitnessReply {
    const std::string body = etcd_swap_request(key, encode_witness_value(kPairKey, wanted), expected);
    const auto answer = parse_etcd_swap(etcd.post(kEtcdTxnPath, body).body, key);
    REQUIRE(answer);
    const auto reply = to_witness_reply(*answer, kPairKey, cluster);
    REQUIRE(reply);
    return *reply;
  };
  CHECK_FALSE(read().record);
  const WitnessReply created = swap(record, 0);
  CHECK(created.swapped);
  WitnessRecord second = record;
  second.role.epoch = 2;
  second.role.master = Node::b;
  const WitnessReply late = swap(second, 0);
  CHECK_FALSE(late.swapped);
  CHECK(late.record == record);
  CHECK(late.record_revision == created.revision);
  CHECK(read().record_revision == created.revision);
  const WitnessReply won = swap(second, created.revision);
  CHECK(won.swapped);
  CHECK(won.revision > created.revision);
  CHECK(won.identity == created.identity);
  const WitnessReply lost = swap(record, created.revision);
  CHECK_FALSE(lost.swapped);
  CHECK(lost.record == second);

  // With users: the token is asked for again when it is refused.
  etcd.enable_auth("pw");
  const HttpResponse without = etcd.post(kEtcdRangePath, etcd_range_request(key));
  CHECK(parse_etcd_failure(without.status, without.body).token_refused);
  const HttpResponse wrong = etcd.post(kEtcdAuthPath, etcd_auth_request("root", Secret("no")));
  CHECK_FALSE(parse_etcd_failure(wrong.status, wrong.body).token_refused);
  const auto token = parse_etcd_auth(etcd.post(kEtcdAuthPath, etcd_auth_request("root", Secret("pw"))).body);
  REQUIRE(token);
  const HttpResponse with = etcd.post(kEtcdRangePath, etcd_range_request(key), std::string(token->reveal()));
  CHECK(parse_etcd_range(with.body, key));
}
