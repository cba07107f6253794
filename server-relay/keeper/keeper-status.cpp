/// What people and forwarders see of the role.
#include <algorithm>

#include "common/roles/role-record.h"
#include "server-relay/keeper/keeper.h"

namespace pgtandem {
namespace {

using nlohmann::json;

std::string_view level_name(TellLevel level) {
  return level == TellLevel::error ? "error" : level == TellLevel::warning ? "warning" : "info";
}

std::string text_of(const Uuid& uuid) {
  return uuid.is_none() ? std::string() : to_string(uuid);
}

std::uint64_t whole_seconds(Milliseconds time) {
  return std::uint64_t(std::max<std::int64_t>(0, time.count()) / 1000);
}

json bootstrap_json(const std::optional<BootstrapView>& bootstrap, Milliseconds wall) {
  if (!bootstrap) return nullptr;
  return {{"phase", bootstrap->phase},
          {"bytes", bootstrap->bytes},
          {"total_bytes", bootstrap->total_bytes},
          {"text", bootstrap->text},
          {"tool", bootstrap->tool},
          {"since_s", whole_seconds(wall - bootstrap->since_wall)}};
}

json peer_json(const RoleMachine& machine, Milliseconds steady, Milliseconds reachable_within) {
  const PeerView& peer = machine.peer();
  const Milliseconds silent = std::max(steady - peer.silent_from, Milliseconds{0});
  json out = {{"reachable", peer.report.has_value() && silent < reachable_within},
              {"state", peer.report ? to_string(peer.report->state) : std::string_view()},
              {"epoch", peer.report ? peer.report->epoch : 0},
              {"silent_ms", std::uint64_t(silent.count())},
              {"silent_since", machine.silent_since()},
              {"postmaster_ok", peer.report && peer.report->postmaster_ok}};
  return out;
}

}  // namespace

json Keeper::status() const {
  const Now now = options_.clock();
  const Slot& slot = machine_.slot();
  const RoleRecord record = machine_.record();
  json out;
  out["role"] = {{"state", to_string(machine_.state())},
                 {"epoch", record.epoch},
                 {"master", to_string(record.master)},
                 {"data_node", to_string(record.data_node)},
                 {"generation", text_of(slot.lineage.generation)},
                 {"sync", record.sync},
                 {"reason", machine_.reason()},
                 {"since_s", whole_seconds(now.steady - machine_.since().steady)}};
  out["record"] = nullptr;
  if (link_ && record.master != Node::none && record.epoch != 0) {
    const SignedRecord signed_record = sign_record(options_.pair_key, record);
    out["record"] = {{"payload", signed_record.payload}, {"mac", signed_record.mac}};
  }
  // A heartbeat may take its time and still have come: three of them missing is a silence.
  out["peer"] =
      link_ ? peer_json(machine_, now.steady, std::max(options_.machine.standby_timeout, 3 * kHeartbeat))
            : json(nullptr);
  out["postmaster"] = {{"ok", machine_.postmaster_ok()}};
  out["standby"] = {{"joined", machine_.joined()},
                    {"stale_reason", machine_.joined() ? std::string() : machine_.stale_reason()}};
  out["witness"] = witness_status();
  out["guests"] = machine_.guests();
  out["right_ms"] = nullptr;
  if (options_.machine.witness && is_active(machine_.state()))
    out["right_ms"] = std::max<std::int64_t>(0, (machine_.right_until() - now.steady).count());
  out["bootstrap"] = bootstrap_json(machine_.bootstrap(), now.wall);
  json events = json::array();
  for (const EventLine& line : events_) {
    events.push_back(
        {{"time", line.time}, {"level", level_name(line.level)}, {"event", line.name}, {"text", line.text}});
  }
  out["events"] = std::move(events);
  out["hint"] = machine_.hint(now.steady);
  return out;
}

RoleAnswer Keeper::role() const {
  if (is_active(machine_.state())) return RoleAnswer::master;
  return machine_.state() == RoleState::standby ? RoleAnswer::standby : RoleAnswer::neither;
}

}  // namespace pgtandem
