#include "common/control/status-view.h"

#include <limits>

#include <nlohmann/json.hpp>

#include "common/control/role-states.h"

namespace pgtandem {
namespace {

using nlohmann::json;

/// Reads keys of an object; the first thing that is wrong is kept as the error, and everything after gives
/// defaults.
class KeyReader {
 public:
  KeyReader(const json& object, std::string path, std::string& error)
      : object_(object), path_(std::move(path)), error_(error) {
    if (!object_.is_object()) fail("", "is no object");
  }

  KeyReader object(const char* key) const {
    static const json kEmpty = json::object();
    const json* value = find(key);
    return {value ? *value : kEmpty, path_ + key + ".", error_};
  }
  /// Null or absent: nothing.
  std::optional<KeyReader> optional_object(const char* key) const {
    const auto found = object_.find(key);
    if (!object_.is_object() || found == object_.end() || found->is_null()) return std::nullopt;
    return KeyReader(*found, path_ + key + ".", error_);
  }
  std::string text(const char* key) const {
    const json* value = find(key);
    if (!value) return {};
    if (!value->is_string()) return fail(key, "is no text"), std::string();
    return value->get<std::string>();
  }
  bool flag(const char* key) const {
    const json* value = find(key);
    if (!value) return false;
    if (!value->is_boolean()) return fail(key, "is neither true nor false"), false;
    return value->get<bool>();
  }
  std::uint64_t number(const char* key, std::uint64_t max = std::numeric_limits<std::uint64_t>::max()) const {
    const json* value = find(key);
    if (!value) return 0;
    // A signed value that is not negative may come out of another JSON writer.
    const bool whole =
        value->is_number_unsigned() || (value->is_number_integer() && value->get<std::int64_t>() >= 0);
    if (!whole || value->get<std::uint64_t>() > max) return fail(key, "is no number that can stand there"), 0;
    return value->get<std::uint64_t>();
  }
  Node node(const char* key) const {
    const std::string name = text(key);
    if (name == "a") return Node::a;
    if (name == "b") return Node::b;
    if (name != "none" && !name.empty()) fail(key, "is no node: a or b");
    return Node::none;
  }
  bool has(const char* key) const { return object_.is_object() && object_.contains(key); }
  const json& raw() const { return object_; }
  void fail(const char* key, const char* what) const {
    if (error_.empty()) error_ = "'" + path_ + key + "' " + what;
  }

 private:
  const json* find(const char* key) const {
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(key);
    if (found != object_.end()) return &*found;
    fail(key, "is missing");
    return nullptr;
  }

  const json& object_;
  std::string path_;
  std::string& error_;
};

StatusView::Role read_role(const KeyReader& from) {
  StatusView::Role role;
  role.state = from.text("state");
  if (!role.state.empty() && !is_role_state(role.state))
    from.fail("state", "is no state that this version knows");
  role.epoch = from.number("epoch");
  role.master = from.node("master");
  role.data_node = from.node("data_node");
  role.generation = from.text("generation");
  role.sync = from.flag("sync");
  role.reason = from.text("reason");
  role.since_s = from.number("since_s");
  return role;
}

StatusView::NodeAddress read_node(const KeyReader& from) {
  constexpr std::uint64_t kMaxPort = 65535;
  StatusView::NodeAddress node;
  node.host = from.text("host");
  node.relay_port = std::uint16_t(from.number("relay_port", kMaxPort));
  node.control_port = std::uint16_t(from.number("control_port", kMaxPort));
  return node;
}

StatusView::Peer read_peer(const KeyReader& from) {
  StatusView::Peer peer;
  peer.reachable = from.flag("reachable");
  peer.state = from.text("state");
  peer.epoch = from.number("epoch");
  peer.silent_ms = from.number("silent_ms");
  peer.postmaster_ok = from.flag("postmaster_ok");
  return peer;
}

StatusView::Postmaster read_postmaster(const KeyReader& from) {
  StatusView::Postmaster postmaster;
  postmaster.ok = from.flag("ok");
  if (from.has("version")) postmaster.version = from.text("version");
  if (from.has("service_superuser")) postmaster.service_superuser = from.flag("service_superuser");
  if (from.has("max_connections")) {
    postmaster.max_connections =
        unsigned(from.number("max_connections", std::numeric_limits<unsigned>::max()));
  }
  if (from.has("encoding")) postmaster.encoding = from.text("encoding");
  if (from.has("collation")) postmaster.collation = from.text("collation");
  return postmaster;
}

StatusView::Witness read_witness(const KeyReader& from) {
  StatusView::Witness witness;
  witness.answers = from.flag("answers");
  witness.trouble = from.text("trouble");
  witness.flaw = from.text("flaw");
  if (from.has("identity")) witness.identity = from.text("identity");
  if (from.has("key")) witness.key = from.text("key");
  if (from.has("term_ms")) witness.term_ms = from.number("term_ms");
  if (const auto record = from.optional_object("record")) {
    witness.epoch = record->number("epoch");
    witness.master = record->node("master");
    witness.generation = record->text("generation");
    witness.sync = record->flag("sync");
  }
  const auto members = from.raw().find("endpoints");
  if (members == from.raw().end() || !members->is_array()) {
    from.fail("endpoints", "is missing or no list");
    return witness;
  }
  for (const json& entry : *members) {
    std::string ignored;  // a member that cannot be read costs only itself
    const KeyReader member(entry, "endpoints.", ignored);
    witness.members.push_back(
        {member.text("url"), member.flag("asked"), member.flag("answers"), member.text("trouble")});
  }
  return witness;
}

StatusView::Bootstrap read_bootstrap(const KeyReader& from) {
  StatusView::Bootstrap bootstrap;
  if (from.has("phase")) bootstrap.phase = from.text("phase");
  if (from.has("bytes")) bootstrap.bytes = from.number("bytes");
  if (from.has("total_bytes")) bootstrap.total_bytes = from.number("total_bytes");
  if (from.has("text")) bootstrap.text = from.text("text");
  return bootstrap;
}

void read_counts(const KeyReader& from, StatusView& view) {
  const KeyReader sessions = from.object("sessions");
  view.sessions_open = sessions.number("open");
  view.sessions_total = sessions.number("total");
  view.sessions_refused = sessions.number("refused");
  const KeyReader traffic = from.object("traffic");
  view.units = traffic.number("units");
  view.frontend_bytes = traffic.number("frontend_bytes");
  view.backend_bytes = traffic.number("backend_bytes");
  view.standby_bytes = traffic.number("standby_bytes");
  const KeyReader standby = from.object("standby");
  view.standby_joined = standby.flag("joined");
  view.stale_reason = standby.text("stale_reason");
  view.lag_units = standby.number("lag_units");
  const KeyReader differences = from.object("differences");
  view.write_differences = differences.number("writes");
  view.read_differences = differences.number("reads");
}

void read_events(const KeyReader& from, const json& status, StatusView& view) {
  const auto events = status.find("events");
  if (events == status.end() || !events->is_array()) return from.fail("events", "is missing or no list");
  for (const json& entry : *events) {
    std::string ignored;  // an event that cannot be read costs only itself
    const KeyReader event(entry, "events.", ignored);
    view.events.push_back({event.text("time"), event.text("level"), event.text("event"), event.text("text")});
  }
}

}  // namespace

bool StatusView::active() const {
  return is_active_state(role.state);
}

Result<StatusView> parse_status(std::string_view text) {
  const json status = json::parse(text, nullptr, false);
  if (!status.is_object()) return Error{"the relay's status is no JSON object"};
  std::string error;
  const KeyReader from(status, "", error);
  StatusView view;
  view.version = from.text("version");
  view.node = from.node("node");
  const std::string mode = from.text("mode");
  if (!mode.empty() && mode != "pair" && mode != "flags") from.fail("mode", "is neither pair nor flags");
  view.pair_mode = mode == "pair";
  view.protocol = from.text("protocol");
  view.discipline = from.text("discipline");
  view.uptime_s = from.number("uptime_s");
  view.role = read_role(from.object("role"));
  const KeyReader nodes = from.object("nodes");
  for (const Node node : {Node::a, Node::b}) {
    const auto address = nodes.optional_object(std::string(to_string(node)).c_str());
    if (address) view.nodes[node] = read_node(*address);
  }
  if (const auto record = from.optional_object("record"))
    view.record = {record->text("payload"), record->text("mac")};
  if (const auto peer = from.optional_object("peer")) view.peer = read_peer(*peer);
  view.postmaster = read_postmaster(from.object("postmaster"));
  read_counts(from, view);
  // What a relay before these keys leaves out.
  if (const auto witness = from.optional_object("witness")) view.witness = read_witness(*witness);
  if (from.has("guests")) view.guests = from.flag("guests");
  if (from.has("right_ms") && !status["right_ms"].is_null()) view.right_ms = from.number("right_ms");
  if (const auto bootstrap = from.optional_object("bootstrap")) view.bootstrap = read_bootstrap(*bootstrap);
  read_events(from, status, view);
  view.hint = from.text("hint");
  if (!error.empty()) return Error{"the relay's status cannot be read: " + error};
  return view;
}

}  // namespace pgtandem
