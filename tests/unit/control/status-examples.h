/// Statuses as relays give them, for tests.
#pragma once
#include <string>

#include <nlohmann/json.hpp>

#include "server-relay/tool/pair-status.h"

namespace pgtandem::control_test {

/// A node of a healthy pair: a is master, b its standby. Tests change what they are about.
inline nlohmann::json status_json(const std::string& node = "a") {
  const bool master = node == "a";
  return nlohmann::json{
      {"version", "0.1.0"},
      {"node", node},
      {"mode", "pair"},
      {"protocol", "postgres"},
      {"discipline", "classic"},
      {"uptime_s", 12},
      {"role",
       {{"state", master ? "MASTER" : "STANDBY"},
        {"epoch", 3},
        {"master", "a"},
        {"data_node", "a"},
        {"generation", "5f0e8a52-7d0c-4f7e-9d53-0d6f8a1b2c3d"},
        {"sync", true},
        {"reason", "joined"},
        {"since_s", 7440}}},
      {"nodes",
       {{"a", {{"host", "hosta"}, {"relay_port", 5432}, {"control_port", 8432}}},
        {"b", {{"host", "hostb"}, {"relay_port", 5432}, {"control_port", 8432}}}}},
      {"record", {{"payload", "text"}, {"mac", "00ff"}}},
      {"peer",
       {{"reachable", true},
        {"state", "STANDBY"},
        {"epoch", 3},
        {"silent_ms", 120},
        {"postmaster_ok", true}}},
      {"postmaster", {{"ok", true}}},
      {"sessions", {{"open", 8}, {"total", 1123}, {"refused", 0}}},
      {"traffic",
       {{"units", 1000}, {"frontend_bytes", 17}, {"backend_bytes", 1536}, {"standby_bytes", 21474836480}}},
      {"standby", {{"joined", true}, {"stale_reason", ""}, {"lag_units", 0}}},
      {"differences", {{"writes", 0}, {"reads", 2}}},
      {"witness", nullptr},
      {"guests", false},
      {"right_ms", nullptr},
      {"bootstrap", nullptr},
      {"events",
       {{{"time", "2026-01-02T03:04:05Z"},
         {"level", "info"},
         {"event", "standby-joined"},
         {"text", "b is joined"}}}},
      {"hint", ""}};
}

/// What a relay with a witness says of it, as the status' key "witness".
inline nlohmann::json witness_json() {
  return {{"endpoints",
           {{{"url", "https://etcd1:2379"}, {"asked", true}, {"answers", true}, {"trouble", ""}},
            {{"url", "https://etcd2:2379"},
             {"asked", true},
             {"answers", false},
             {"trouble", "cannot connect to etcd2:2379: Connection refused"}}}},
          {"answers", true},
          {"trouble", ""},
          {"record", {{"epoch", 3}, {"master", "a"}, {"data_node", "a"}, {"generation", ""}, {"sync", true}}},
          {"flaw", ""}};
}

inline tool::RelayStatus answered(const nlohmann::json& status, const std::string& port = "hosta:8432") {
  auto view = parse_status(status.dump());
  if (!view) throw std::runtime_error(view.error());
  return {port, *view, status.dump(), ""};
}

inline tool::RelayStatus silent(const std::string& port = "hostb:8432") {
  return {port, std::nullopt, "", "cannot connect to " + port + ": Connection refused"};
}

}  // namespace pgtandem::control_test
