/// The status JSON of a relay (GET /v1/status) as a struct. Keys that every relay gives are required and
/// checked; keys that this version does not know are left alone.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"

namespace pgtandem {

struct StatusView {
  struct Role {
    std::string state;  ///< one of kRoleStates
    Epoch epoch = 0;
    Node master = Node::none;
    Node data_node = Node::none;  ///< whose postmaster is authoritative (hard point 10)
    std::string generation;
    bool sync = false;
    std::string reason;
    std::uint64_t since_s = 0;
  };
  struct NodeAddress {
    std::string host;
    std::uint16_t relay_port = 0;
    std::uint16_t control_port = 0;
  };
  struct Record {
    std::string payload;
    std::string mac;
  };
  struct Peer {
    bool reachable = false;
    std::string state;  ///< as last heard; empty if it never answered
    Epoch epoch = 0;
    std::uint64_t silent_ms = 0;
    bool postmaster_ok = false;
  };
  struct Postmaster {
    bool ok = false;
    // What a relay with a service connection may tell besides.
    std::string version;  ///< server_version
    std::optional<bool> service_superuser;
    std::optional<unsigned> max_connections;
    std::string encoding;
    std::string collation;
  };
  struct Bootstrap {
    std::string phase;
    std::uint64_t bytes = 0;
    std::uint64_t total_bytes = 0;
    std::string text;
  };
  struct WitnessMember {
    std::string url;
    bool asked = false;
    bool answers = false;
    std::string trouble;
  };
  struct Witness {
    std::vector<WitnessMember> members;
    bool answers = false;
    std::string trouble;  ///< where it does not: why
    std::string flaw;     ///< why it gives no authority, or empty
    // Which one it is; older relays leave it out.
    std::string identity;  ///< of its cluster; empty until it has answered
    std::string key;       ///< under which it holds the pair's record
    std::uint64_t term_ms = 0;
    // Of the pair's record there; no epoch: none.
    Epoch epoch = 0;
    Node master = Node::none;
    std::string generation;
    bool sync = false;
  };
  struct Event {
    std::string time;
    std::string level;
    std::string event;
    std::string text;
  };

  std::string version;
  Node node = Node::none;
  bool pair_mode = false;
  std::string protocol;
  std::string discipline;
  std::uint64_t uptime_s = 0;
  Role role;
  std::map<Node, NodeAddress> nodes;
  std::optional<Record> record;
  std::optional<Peer> peer;
  Postmaster postmaster;
  std::uint64_t sessions_open = 0;
  std::uint64_t sessions_total = 0;
  std::uint64_t sessions_refused = 0;
  std::uint64_t units = 0;
  std::uint64_t frontend_bytes = 0;
  std::uint64_t backend_bytes = 0;
  std::uint64_t standby_bytes = 0;
  bool standby_joined = false;
  std::string stale_reason;
  std::uint64_t lag_units = 0;
  std::uint64_t write_differences = 0;
  std::uint64_t read_differences = 0;
  std::optional<Witness> witness;
  std::optional<std::uint64_t> right_ms;  ///< how long an active node's right lasts; only with a witness
  bool guests = false;                    ///< sessions of this relay go on with the other node's server
  std::optional<Bootstrap> bootstrap;
  std::vector<Event> events;  ///< oldest first
  std::string hint;           ///< the next command to type, or empty

  bool active() const;
};

/// The error names the key that is missing or of the wrong type.
Result<StatusView> parse_status(std::string_view json);

}  // namespace pgtandem
