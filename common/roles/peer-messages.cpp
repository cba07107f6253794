#include "common/roles/peer-messages.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

namespace pgtandem {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 9> kVerbs = {"hello", "promise",         "agree_degrade",
                                                    "fence", "leaving",         "bootstrap_begin",
                                                    "join",  "bootstrap_abort", "take_over"};
static_assert(kVerbs.size() == std::variant_size_v<PeerBody>);

/// Longest sentence that is carried; a longer one is cut by the sender and refused by the reader.
constexpr std::size_t kMaxWhy = 1000;

/// Reads the keys of one object and remembers the first thing that was wrong.
class Fields {
 public:
  explicit Fields(const json& object) : object_(object) {
    if (!object.is_object()) wrong_ = "an object is expected";
  }

  void read(const char* key, bool& value) {
    if (const json* found = find(key, json::value_t::boolean)) value = found->get<bool>();
  }
  void read(const char* key, std::uint64_t& value) {
    if (const json* found = find(key, json::value_t::number_unsigned)) value = found->get<std::uint64_t>();
  }
  void read(const char* key, std::string& value, std::size_t limit) {
    const json* found = find(key, json::value_t::string);
    if (found == nullptr) return;
    value = found->get<std::string>();
    if (value.size() > limit) wrong(key, "is too long");
  }
  void read(const char* key, Uuid& value) {
    std::string text;
    read(key, text, 36);
    if (text.empty()) return;  // "": none
    if (const Result<Uuid> uuid = parse_uuid(text)) {
      value = *uuid;
    } else {
      wrong(key, "is no UUID");
    }
  }
  void read(const char* key, Node& value) {
    std::string text;
    read(key, text, 4);
    if (text.empty() || text == "none") return;
    if (const Result<Node> node = parse_node(text)) {
      value = *node;
    } else {
      wrong(key, "is no node");
    }
  }
  bool has(const char* key) const { return object_.is_object() && object_.contains(key); }
  const json* object(const char* key) { return find(key, json::value_t::object); }
  const json* array(const char* key) { return find(key, json::value_t::array); }
  void wrong(const char* key, const char* what) {
    if (wrong_.empty()) wrong_ = "'" + std::string(key) + "' " + what;
  }
  /// Call after the last read: unknown keys are refused as well.
  Result<void> finish() {
    if (wrong_.empty() && object_.size() != seen_) wrong_ = "there is an unknown key";
    if (!wrong_.empty()) return Error{wrong_};
    return {};
  }

 private:
  const json* find(const char* key, json::value_t type) {
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(key);
    if (found == object_.end()) {
      wrong(key, "is missing");
      return nullptr;
    }
    ++seen_;
    if (found->type() != type) {
      wrong(key, "has a wrong type");
      return nullptr;
    }
    return &*found;
  }

  const json& object_;
  std::size_t seen_ = 0;
  std::string wrong_;
};

std::string text_of(const Uuid& uuid) {
  return uuid.is_none() ? std::string() : to_string(uuid);
}

json to_json(const NodeReport& report) {
  json parents = json::array();
  for (const Uuid& parent : report.lineage.parents) parents.push_back(to_string(parent));
  json out = {{"node", to_string(report.node)},
              {"cluster", text_of(report.cluster)},
              {"boot", text_of(report.boot)},
              {"sequence", report.sequence},
              {"state", to_string(report.state)},
              {"initialised", report.initialised},
              {"epoch", report.epoch},
              {"highest_seen", report.highest_seen},
              {"master", to_string(report.master)},
              {"data_node", to_string(report.data_node)},
              {"generation", text_of(report.lineage.generation)},
              {"parents", std::move(parents)},
              {"sync", report.sync},
              {"eligible", report.eligible},
              {"bootstrapping", report.bootstrapping},
              {"postmaster_ok", report.postmaster_ok}};
  // Only where they say something: a relay of the version before knows no such keys.
  if (report.guests) out["guests"] = true;
  if (report.promise_ms != 0) out["promise_ms"] = report.promise_ms;
  return out;
}

void read_parents(Fields& fields, std::vector<Uuid>& parents) {
  const json* list = fields.array("parents");
  if (list == nullptr) return;
  if (list->size() > kMaxParents) return fields.wrong("parents", "holds too many");
  for (const json& one : *list) {
    const Result<Uuid> uuid = parse_uuid(one.is_string() ? one.get<std::string>() : std::string());
    if (!uuid) return fields.wrong("parents", "holds something that is no UUID");
    parents.push_back(*uuid);
  }
}

Result<NodeReport> parse_report(const json& object) {
  NodeReport report;
  Fields fields(object);
  fields.read("node", report.node);
  fields.read("cluster", report.cluster);
  fields.read("boot", report.boot);
  fields.read("sequence", report.sequence);
  std::string state;
  fields.read("state", state, 16);
  fields.read("initialised", report.initialised);
  fields.read("epoch", report.epoch);
  fields.read("highest_seen", report.highest_seen);
  fields.read("master", report.master);
  fields.read("data_node", report.data_node);
  fields.read("generation", report.lineage.generation);
  read_parents(fields, report.lineage.parents);
  fields.read("sync", report.sync);
  fields.read("eligible", report.eligible);
  fields.read("bootstrapping", report.bootstrapping);
  fields.read("postmaster_ok", report.postmaster_ok);
  if (fields.has("guests")) fields.read("guests", report.guests);
  if (fields.has("promise_ms")) fields.read("promise_ms", report.promise_ms);
  if (const Result<RoleState> known = parse_role_state(state)) {
    report.state = *known;
  } else {
    fields.wrong("state", "is unknown");
  }
  if (report.node == Node::none) fields.wrong("node", "is missing");
  if (const Result<void> done = fields.finish(); !done) return Error{"report: " + done.error()};
  return report;
}

void write_body(json& out, const Hello&) {
  (void)out;
}
void write_body(json& out, const BootstrapTarget&) {
  (void)out;
}
void write_body(json& out, const BootstrapDropped&) {
  (void)out;
}
void write_body(json& out, const AskPromise& body) {
  out["epoch"] = body.epoch;
  out["clean"] = text_of(body.clean);
  out["by_operator"] = body.by_operator;
  out["data_may_be_old"] = body.data_may_be_old;
}
void write_body(json& out, const AgreeDegrade& body) {
  out["epoch"] = body.epoch;
  out["generation"] = text_of(body.generation);
}
void write_body(json& out, const FenceYourself& body) {
  out["payload"] = body.record.payload;
  out["mac"] = body.record.mac;
}
void write_body(json& out, const Leaving& body) {
  out["clean"] = body.clean;
}
void write_body(json& out, const Join& body) {
  out["initial"] = body.initial;
  out["epoch"] = body.epoch;
  out["generation"] = text_of(body.generation);
}

void write_body(json& out, const TakeOver& body) {
  out["epoch"] = body.epoch;
  out["drained"] = body.drained;
}

void read_body(Fields&, Hello&) {}
void read_body(Fields&, BootstrapTarget&) {}
void read_body(Fields&, BootstrapDropped&) {}
void read_body(Fields& fields, AskPromise& body) {
  fields.read("epoch", body.epoch);
  fields.read("clean", body.clean);
  fields.read("by_operator", body.by_operator);
  fields.read("data_may_be_old", body.data_may_be_old);
}
void read_body(Fields& fields, AgreeDegrade& body) {
  fields.read("epoch", body.epoch);
  fields.read("generation", body.generation);
}
void read_body(Fields& fields, FenceYourself& body) {
  fields.read("payload", body.record.payload, 512);
  fields.read("mac", body.record.mac, 128);
}
void read_body(Fields& fields, Leaving& body) {
  fields.read("clean", body.clean);
}
void read_body(Fields& fields, Join& body) {
  fields.read("initial", body.initial);
  fields.read("epoch", body.epoch);
  fields.read("generation", body.generation);
}

void read_body(Fields& fields, TakeOver& body) {
  fields.read("epoch", body.epoch);
  fields.read("drained", body.drained);
}

template <std::size_t I = 0>
PeerBody empty_body(std::size_t index) {
  if constexpr (I + 1 < std::variant_size_v<PeerBody>) {
    if (index != I) return empty_body<I + 1>(index);
  }
  return std::variant_alternative_t<I, PeerBody>{};
}

Result<json> parse_object(std::string_view body) {
  if (body.size() > kMaxPeerBody) return Error{"the message is too long"};
  json parsed = json::parse(body, nullptr, false);
  if (parsed.is_discarded()) return Error{"the message is no JSON"};
  if (!parsed.is_object()) return Error{"the message is no JSON object"};
  return parsed;
}

}  // namespace

std::string_view peer_verb(const PeerBody& body) {
  return kVerbs[body.index()];
}

bool is_peer_verb(std::string_view verb) {
  return std::ranges::find(kVerbs, verb) != kVerbs.end();
}

std::string encode_peer_request(const PeerRequest& request) {
  json out = {{"report", to_json(request.report)}};
  std::visit([&out](const auto& body) { write_body(out, body); }, request.body);
  return out.dump();
}

Result<PeerRequest> parse_peer_request(std::string_view verb, std::string_view body) {
  const auto known = std::ranges::find(kVerbs, verb);
  if (known == kVerbs.end()) return Error{"the peer verb is unknown"};
  const Result<json> parsed = parse_object(body);
  if (!parsed) return Error{parsed.error()};
  PeerRequest request{{}, empty_body(std::size_t(known - kVerbs.begin()))};
  Fields fields(*parsed);
  if (const json* report = fields.object("report")) {
    Result<NodeReport> sender = parse_report(*report);
    if (!sender) return Error{sender.error()};
    request.report = *sender;
  }
  std::visit([&fields](auto& typed) { read_body(fields, typed); }, request.body);
  if (const Result<void> done = fields.finish(); !done) return Error{done.error()};
  return request;
}

std::string encode_peer_answer(const PeerAnswer& answer) {
  const json out = {{"report", to_json(answer.report)},
                    {"ok", answer.ok},
                    {"clean", answer.clean},
                    {"why", answer.why.substr(0, kMaxWhy)}};
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<PeerAnswer> parse_peer_answer(std::string_view body) {
  const Result<json> parsed = parse_object(body);
  if (!parsed) return Error{parsed.error()};
  PeerAnswer answer;
  Fields fields(*parsed);
  if (const json* report = fields.object("report")) {
    Result<NodeReport> sender = parse_report(*report);
    if (!sender) return Error{sender.error()};
    answer.report = *sender;
  }
  fields.read("ok", answer.ok);
  fields.read("clean", answer.clean);
  fields.read("why", answer.why, 4 * kMaxWhy);
  if (const Result<void> done = fields.finish(); !done) return Error{done.error()};
  return answer;
}

}  // namespace pgtandem
