#include "client-forwarder/relay-report.h"

#include <charconv>

#include <nlohmann/json.hpp>

#include "common/control/role-states.h"

namespace pgtandem {
namespace {

using nlohmann::json;

/// The text of ` key=value` in a record's payload; empty if there is none.
std::string_view field(std::string_view payload, std::string_view key) {
  const std::string start = " " + std::string(key) + "=";
  const std::size_t at = payload.find(start);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = payload.substr(at + start.size());
  return rest.substr(0, rest.find(' '));
}

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool is_printable(std::string_view text) {
  for (const char c : text) {
    if (c < ' ' || c > '~') return false;
  }
  return !text.empty() && text.size() <= kMaxRecordText;
}

}  // namespace

Result<CarriedRecord> parse_record(std::string_view payload, std::string_view mac) {
  // Both go into a file of lines and into JSON: nothing but printable text, whatever a relay sends.
  if (!is_printable(payload) || !is_printable(mac))
    return Error{"the record of role is no short printable text"};
  if (!payload.starts_with("pgtandem-role 1 ")) return Error{"the record of role is of an unknown version"};
  CarriedRecord record{std::string(payload), std::string(mac), {}, 0, Node::none};
  const auto cluster = parse_uuid(field(payload, "cluster"));
  const auto master = parse_node(field(payload, "master"));
  const std::string_view epoch = field(payload, "epoch");
  const auto [end, failure] = std::from_chars(epoch.data(), epoch.data() + epoch.size(), record.epoch);
  if (!cluster.ok() || !master.ok() || failure != std::errc{} || end != epoch.data() + epoch.size() ||
      cluster->is_none()) {
    return Error{"the record of role lacks its cluster, epoch or master"};
  }
  record.cluster = *cluster;
  record.master = *master;
  return record;
}

Result<RelayReport> parse_report(std::string_view status_json) {
  const json status = json::parse(status_json, nullptr, false);
  if (!status.is_object()) return Error{"the relay's status is no JSON object"};
  const auto role = status.find("role");
  if (role == status.end() || !role->is_object()) return Error{"the relay's status has no role"};
  RelayReport report;
  report.pair_mode = text_of(status, "mode") == "pair";
  report.state = text_of(*role, "state");
  if (!is_role_state(report.state)) return Error{"the relay's status has no known state"};
  report.active = is_active_state(report.state);
  const auto guests = status.find("guests");
  report.guests = guests != status.end() && guests->is_boolean() && guests->get<bool>();
  const auto epoch = role->find("epoch");
  if (epoch != role->end() && epoch->is_number_unsigned()) report.epoch = epoch->get<Epoch>();
  const auto node = parse_node(text_of(status, "node"));
  if (node.ok()) report.node = *node;
  const auto record = status.find("record");
  if (report.pair_mode && record != status.end() && record->is_object()) {
    auto parsed = parse_record(text_of(*record, "payload"), text_of(*record, "mac"));
    if (!parsed.ok()) return Error{parsed.error()};
    report.record = std::move(*parsed);
  }
  return report;
}

}  // namespace pgtandem
