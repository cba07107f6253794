#include "common/roles/role-record.h"

#include <charconv>

#include "common/base/crypto.h"

namespace pgtandem {
namespace {

/// Longer than any canonical record; what is longer is not looked at.
constexpr std::size_t kMaxPayload = 256;

std::string mac_of(const Secret& pair_key, std::string_view payload) {
  const std::string text = "record\n" + std::string(payload);
  return to_hex(hmac_sha256(as_bytes(pair_key.reveal()), as_bytes(text)));
}

std::string canonical(const RoleRecord& record) {
  return "pgtandem-role 1 cluster=" + to_string(record.cluster) + " epoch=" + std::to_string(record.epoch) +
         " master=" + std::string(to_string(record.master)) +
         " data_node=" + std::string(to_string(record.data_node)) +
         " generation=" + to_string(record.generation) + " sync=" + (record.sync ? "true" : "false");
}

/// The value of `key=value`, which `rest` must start with; moves `rest` behind it and its space.
std::string_view take_value(std::string_view& rest, std::string_view key) {
  if (!rest.starts_with(key)) return {};
  rest.remove_prefix(key.size());
  const std::size_t end = std::min(rest.find(' '), rest.size());
  const std::string_view value = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return value;
}

Node node_or_none(std::string_view text) {
  const Result<Node> node = parse_node(text);
  return node ? *node : Node::none;
}

Uuid uuid_or_none(std::string_view text) {
  const Result<Uuid> uuid = parse_uuid(text);
  return uuid ? *uuid : Uuid{};
}

RoleRecord parse(std::string_view payload) {
  RoleRecord record;
  std::string_view rest = payload;
  record.cluster = uuid_or_none(take_value(rest, "pgtandem-role 1 cluster="));
  const std::string_view epoch = take_value(rest, "epoch=");
  std::from_chars(epoch.data(), epoch.data() + epoch.size(), record.epoch);
  record.master = node_or_none(take_value(rest, "master="));
  record.data_node = node_or_none(take_value(rest, "data_node="));
  record.generation = uuid_or_none(take_value(rest, "generation="));
  record.sync = take_value(rest, "sync=") == "true";
  return record;
}

}  // namespace

SignedRecord sign_record(const Secret& pair_key, const RoleRecord& record) {
  SignedRecord out;
  out.payload = canonical(record);
  out.mac = mac_of(pair_key, out.payload);
  return out;
}

Result<RoleRecord> verify_record(const Secret& pair_key, const Uuid& cluster, const SignedRecord& record) {
  if (pair_key.empty()) return Error{"there is no pair key to verify a record of role with"};
  if (record.payload.size() > kMaxPayload) return Error{"the record of role is too long"};
  if (!equal_constant_time(as_bytes(mac_of(pair_key, record.payload)), as_bytes(record.mac))) {
    return Error{"the record of role is not signed with this pair's key"};
  }
  const RoleRecord parsed = parse(record.payload);
  // Writing it again is the strictest check of its form: there is one text for each record.
  if (canonical(parsed) != record.payload) return Error{"the record of role is malformed"};
  if (parsed.cluster != cluster) return Error{"the record of role belongs to another pair"};
  if (parsed.master == Node::none || parsed.epoch == 0) return Error{"the record of role names no master"};
  return parsed;
}

}  // namespace pgtandem
