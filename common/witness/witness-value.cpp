#include "common/witness/witness-value.h"

#include <nlohmann/json.hpp>

#include "common/base/crypto.h"

namespace pgtandem {
namespace {

using nlohmann::json;

constexpr unsigned kFormat = 1;
/// Longer than any canonical value; what is longer is not looked at.
constexpr std::size_t kMaxValue = 1024;

std::string mac_of(const Secret& pair_key, const json& unsigned_value) {
  const std::string text = "witness\n" + unsigned_value.dump();
  return to_hex(hmac_sha256(as_bytes(pair_key.reveal()), as_bytes(text)));
}

json unsigned_value(const WitnessRecord& record) {
  return {{"format", kFormat},
          {"cluster", to_string(record.role.cluster)},
          {"epoch", record.role.epoch},
          {"master", to_string(record.role.master)},
          {"data", to_string(record.role.data_node)},
          {"generation", to_string(record.role.generation)},
          {"sync", record.role.sync},
          {"boot_id", to_string(record.boot)},
          {"beat", record.beat}};
}

Uuid uuid_in(const json& object, const char* key) {
  const Result<Uuid> uuid = parse_uuid(object.at(key).get_ref<const std::string&>());
  return uuid ? *uuid : Uuid{};
}

Node node_in(const json& object, const char* key) {
  const Result<Node> node = parse_node(object.at(key).get_ref<const std::string&>());
  return node ? *node : Node::none;
}

/// Throws where a key is missing or mistyped; what it reads wrongly is found by writing it again.
WitnessRecord read(const json& object) {
  WitnessRecord record;
  record.role.cluster = uuid_in(object, "cluster");
  record.role.epoch = object.at("epoch").get<std::uint64_t>();
  record.role.master = node_in(object, "master");
  record.role.data_node = node_in(object, "data");
  record.role.generation = uuid_in(object, "generation");
  record.role.sync = object.at("sync").get<bool>();
  record.boot = uuid_in(object, "boot_id");
  record.beat = object.at("beat").get<std::uint64_t>();
  return record;
}

}  // namespace

std::string witness_key(std::string_view prefix, const Uuid& cluster) {
  return std::string(prefix) + "/" + to_string(cluster);
}

std::string encode_witness_value(const Secret& pair_key, const WitnessRecord& record) {
  json value = unsigned_value(record);
  value["mac"] = mac_of(pair_key, value);
  return value.dump();
}

Result<WitnessRecord> parse_witness_value(const Secret& pair_key, const Uuid& cluster,
                                          std::string_view value) {
  if (pair_key.empty()) return Error{"there is no pair key to verify the witness' record with"};
  if (value.size() > kMaxValue) return Error{"the witness' record is too long"};
  const json object = json::parse(value, nullptr, false);
  if (!object.is_object()) return Error{"the witness' record is no JSON object"};
  WitnessRecord record;
  try {
    record = read(object);
  } catch (const json::exception&) {
    return Error{"the witness' record lacks a part, or one has a wrong type"};
  }
  // Writing it again checks the form and the signature in one: there is one text for each record.
  const std::string again = encode_witness_value(pair_key, record);
  if (!equal_constant_time(as_bytes(again), as_bytes(value))) {
    return Error{"the witness' record is not signed with this pair's key"};
  }
  if (record.role.cluster != cluster) return Error{"the witness' record belongs to another pair"};
  if (record.role.master == Node::none || record.role.data_node == Node::none || record.role.epoch == 0) {
    return Error{"the witness' record names no master"};
  }
  return record;
}

}  // namespace pgtandem
