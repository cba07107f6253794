#include "common/witness/etcd-gateway.h"

#include <algorithm>
#include <charconv>

#include <nlohmann/json.hpp>

#include "common/base/crypto.h"
#include "common/witness/witness-value.h"

namespace pgtandem {
namespace {

using nlohmann::json;

/// gRPC's code, as the gateway shows it.
constexpr int kUnauthenticated = 16;
constexpr std::size_t kMaxFailureText = 300;

std::string base64(std::string_view text) {
  return to_base64(as_bytes(text));
}

/// A 64-bit number, which comes as a string; left out: 0.
Result<std::uint64_t> number_in(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end()) return std::uint64_t{0};
  if (!found->is_string()) return Error{"'" + std::string(key) + "' is no string of digits"};
  const std::string& text = found->get_ref<const std::string&>();
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) {
    return Error{"'" + std::string(key) + "' is no string of digits"};
  }
  return value;
}

Result<json> parse_object(std::string_view body) {
  if (body.size() > kMaxEtcdAnswer) return Error{"the witness' answer is too long"};
  json parsed = json::parse(body, nullptr, false);
  if (!parsed.is_object()) return Error{"the witness' answer is no JSON object"};
  return parsed;
}

const json* object_in(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_object() ? &*found : nullptr;
}

const json* array_in(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_array() ? &*found : nullptr;
}

Result<EtcdAnswer> read_header(const json& object) {
  const json* header = object_in(object, "header");
  if (header == nullptr) return Error{"the witness' answer has no header"};
  const Result<std::uint64_t> cluster = number_in(*header, "cluster_id");
  const Result<std::uint64_t> revision = number_in(*header, "revision");
  if (!cluster || !revision) return Error{"the witness' answer has a malformed header"};
  if (*cluster == 0 || *revision == 0) return Error{"the witness' answer names no cluster or revision"};
  EtcdAnswer answer;
  answer.cluster_id = *cluster;
  answer.revision = *revision;
  return answer;
}

Result<EtcdValue> read_value(const json& entry, std::string_view key) {
  const auto text_of = [&entry](const char* name) {
    const auto found = entry.find(name);
    return found != entry.end() && found->is_string() ? from_base64(found->get_ref<const std::string&>())
                                                      : Result<std::string>(std::string());
  };
  const Result<std::string> read_key = text_of("key");
  const Result<std::string> value = text_of("value");
  const Result<std::uint64_t> revision = number_in(entry, "mod_revision");
  if (!read_key || !value || !revision || *revision == 0)
    return Error{"the witness' answer holds a malformed key"};
  if (*read_key != key) return Error{"the witness answered for another key than was asked for"};
  return EtcdValue{*value, *revision};
}

/// `kvs` of a range; left out: no such key.
Result<void> read_kvs(const json& range, std::string_view key, EtcdAnswer& answer) {
  const auto found = range.find("kvs");
  if (found == range.end()) return {};
  if (!found->is_array() || found->size() > 1)
    return Error{"the witness' answer holds more than was asked for"};
  if (found->empty()) return {};
  if (!found->front().is_object()) return Error{"the witness' answer holds a malformed key"};
  Result<EtcdValue> value = read_value(found->front(), key);
  if (!value) return Error{value.error()};
  if (value->mod_revision > answer.revision) return Error{"the witness' answer has a revision of the future"};
  answer.value = std::move(*value);
  return {};
}

/// `expected` 0: there is no such key.
json revision_is(const std::string& key64, std::uint64_t expected) {
  json compare = {{"key", key64}, {"result", "EQUAL"}};
  if (expected == 0) {
    compare["target"] = "CREATE";
    compare["create_revision"] = "0";
  } else {
    compare["target"] = "MOD";
    compare["mod_revision"] = std::to_string(expected);
  }
  return compare;
}

/// Does this where the key's revision is the expected one, else reads the key.
std::string transaction(const std::string& key64, std::uint64_t expected, const json& change) {
  const json range = {{"requestRange", {{"key", key64}}}};
  return json{{"compare", json::array({revision_is(key64, expected)})},
              {"success", json::array({change})},
              {"failure", json::array({range})}}
      .dump();
}

/// A missing `succeeded` means false, and then the read of the key must be there; else the answer to the
/// change.
Result<EtcdAnswer> parse_transaction(std::string_view body, std::string_view key, const char* change) {
  const Result<json> object = parse_object(body);
  if (!object) return Error{object.error()};
  Result<EtcdAnswer> answer = read_header(*object);
  if (!answer) return answer;
  if (const auto found = object->find("succeeded"); found != object->end()) {
    if (!found->is_boolean()) return Error{"'succeeded' is no truth value"};
    answer->succeeded = found->get<bool>();
  }
  const json* responses = array_in(*object, "responses");
  if (responses == nullptr || responses->size() != 1 || !responses->front().is_object()) {
    return Error{"the witness' answer holds no response"};
  }
  const json* response = object_in(responses->front(), answer->succeeded ? change : "response_range");
  if (response == nullptr) return Error{"the witness' answer holds the wrong response"};
  if (answer->succeeded) return answer;
  if (const Result<void> read = read_kvs(*response, key, *answer); !read) return Error{read.error()};
  return answer;
}

}  // namespace

std::string etcd_range_request(std::string_view key) {
  return json{{"key", base64(key)}}.dump();
}

std::string etcd_swap_request(std::string_view key, std::string_view value, std::uint64_t expected) {
  const std::string key64 = base64(key);
  return transaction(key64, expected, {{"requestPut", {{"key", key64}, {"value", base64(value)}}}});
}

std::string etcd_erase_request(std::string_view key, std::uint64_t expected) {
  const std::string key64 = base64(key);
  return transaction(key64, expected, {{"requestDeleteRange", {{"key", key64}}}});
}

std::string etcd_auth_request(std::string_view user, const Secret& password) {
  return json{{"name", user}, {"password", password.reveal()}}.dump(-1, ' ', false,
                                                                    json::error_handler_t::replace);
}

Result<EtcdAnswer> parse_etcd_range(std::string_view body, std::string_view key) {
  const Result<json> object = parse_object(body);
  if (!object) return Error{object.error()};
  Result<EtcdAnswer> answer = read_header(*object);
  if (!answer) return answer;
  if (const Result<void> read = read_kvs(*object, key, *answer); !read) return Error{read.error()};
  return answer;
}

Result<EtcdAnswer> parse_etcd_swap(std::string_view body, std::string_view key) {
  return parse_transaction(body, key, "response_put");
}

Result<EtcdAnswer> parse_etcd_erase(std::string_view body, std::string_view key) {
  return parse_transaction(body, key, "response_delete_range");
}

Result<Secret> parse_etcd_auth(std::string_view body) {
  const Result<json> object = parse_object(body);
  if (!object) return Error{object.error()};
  const auto found = object->find("token");
  if (found == object->end() || !found->is_string() || found->get_ref<const std::string&>().empty()) {
    return Error{"the witness gave no token"};
  }
  return Secret(found->get_ref<const std::string&>());
}

EtcdFailure parse_etcd_failure(unsigned status, std::string_view body) {
  EtcdFailure failure;
  failure.text = "the witness answered with status " + std::to_string(status);
  const Result<json> object = parse_object(body);
  if (!object) {
    // What stands before the gateway answers in plain text, as of a certificate that it does not want.
    const std::string_view line = body.substr(0, std::min(body.find('\n'), kMaxFailureText));
    const bool plain =
        std::ranges::all_of(line, [](unsigned char c) { return c >= ' ' && c < 0x7f && c != '<'; });
    if (!line.empty() && plain) failure.text += ": " + std::string(line);
    return failure;
  }
  const auto text = object->find("error");
  const auto code = object->find("code");
  const std::string said =
      text != object->end() && text->is_string() ? text->get<std::string>().substr(0, kMaxFailureText) : "";
  if (!said.empty()) failure.text += ": " + said;
  const int number = code != object->end() && code->is_number_integer() ? code->get<int>() : 0;
  // Without a token etcd speaks of an empty user name, with an old one of an invalid token; a wrong password
  // is neither.
  failure.token_refused =
      status == 401 || number == kUnauthenticated || said.find("user name is empty") != std::string::npos;
  return failure;
}

Result<WitnessReply> to_witness_reply(const EtcdAnswer& answer, const Secret& pair_key, const Uuid& cluster) {
  WitnessReply reply;
  constexpr std::string_view kKind = "etcd";
  for (std::size_t i = 0; i < kKind.size(); ++i) reply.identity.bytes[i] = std::byte(kKind[i]);
  for (std::size_t i = 0; i < 8; ++i) {
    reply.identity.bytes[15 - i] = std::byte((answer.cluster_id >> (8 * i)) & 0xff);
  }
  reply.revision = answer.revision;
  reply.swapped = answer.succeeded;
  if (!answer.value) return reply;
  Result<WitnessRecord> record = parse_witness_value(pair_key, cluster, answer.value->value);
  if (!record) return Error{record.error()};
  reply.record = std::move(*record);
  reply.record_revision = answer.value->mod_revision;
  return reply;
}

}  // namespace pgtandem
