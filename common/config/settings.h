/// Every setting of the relay, the forwarder and the tool, with its default. Filled by load.h from a TOML
/// file, PGTANDEM_... variables and flags; `docs/configuration.md` describes each.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/net/endpoint.h"

namespace pgtandem {

using Milliseconds = std::chrono::milliseconds;

enum class Protocol { postgres, raw };
enum class Discipline { classic, serial };
enum class Ack { both, master };
enum class OnMismatch { stale, log, refuse };
enum class OnStandbyRefusal { refuse, degrade };
enum class CompareRows { unordered, ordered };

/// An exception from the discipline. First match wins.
struct DisciplineRule {
  std::string database;  ///< a name or "*"
  std::string role;      ///< a name or "*"
  Discipline discipline = Discipline::serial;
};

/// One line of the relay's own access list (the master no longer sees the client's address). First match
/// wins.
struct AccessRule {
  std::string address;   ///< "127.0.0.0/8", "::1/128", "all" or "local" (the Unix socket)
  std::string database;  ///< a name or "all"
  std::string user;      ///< a name or "all"
  bool allow = true;
};

/// One node as `[nodes.a]` and `[nodes.b]` name it.
struct NodeSettings {
  std::string host;
  std::uint16_t relay_port = 5432;
  std::uint16_t leg_port = 5442;
  std::uint16_t control_port = 8432;
  Endpoint postmaster;  ///< as seen from that node itself
};

struct ServiceSettings {
  std::string user;      ///< a superuser on both servers; empty: no service connection
  std::string passfile;  ///< as libpq's passfile
  std::string database = "postgres";
};

struct ControlSettings {
  std::vector<Endpoint>
      listen;  ///< default: control_port of this node on every address; flags-only: 127.0.0.1:8432
  std::string token_file;  ///< bearer token for POST; empty: every command is refused
};

/// One member of the witness' cluster.
struct WitnessEndpoint {
  bool tls = false;
  Endpoint address;
};

/// R3 to R6: an etcd cluster that says who is master. Pair mode only.
struct WitnessSettings {
  std::vector<WitnessEndpoint> endpoints;  ///< empty: no witness
  std::string ca_file;                     ///< PEM; empty: the system's
  std::string cert_file;                   ///< PEM, of this client; empty: none
  std::string key_file;
  std::string user;  ///< empty: etcd asks for none
  std::string password_file;
  std::string prefix = "/pgtandem";  ///< the pair's key is prefix/uuid
  Milliseconds term{3000};
  Milliseconds guard{300};  ///< the right ends so much before the term

  bool configured() const { return !endpoints.empty(); }
};

/// R11: an executable that powers the other host off. Pair mode without a witness only.
struct FencingSettings {
  std::string hook;                 ///< empty: none
  Milliseconds hook_timeout{5000};  ///< it is killed then, and has failed
  Milliseconds hook_wait{10000};    ///< how long a standby waits before it runs its own
};

struct RelaySettings {
  // Pair mode: node, uuid, key_file and both nodes are set. Flags-only mode: master (and standby) are set.
  Node node = Node::none;
  Uuid cluster;
  std::string key_file;
  NodeSettings a;
  NodeSettings b;
  std::optional<Endpoint> master;   ///< flags-only
  std::optional<Endpoint> standby;  ///< flags-only

  std::vector<Endpoint> listen;      ///< frontends, TCP
  std::string unix_socket_dir;       ///< empty: no Unix socket
  std::vector<Endpoint> leg_listen;  ///< pair mode: default leg_port of this node on every address
  std::string state_dir;
  Protocol protocol = Protocol::postgres;
  Discipline discipline = Discipline::serial;
  std::vector<DisciplineRule> discipline_for;
  bool rewrite_time = true;
  bool rewrite_values = true;
  Milliseconds slow_write{10000};
  bool slow_writes_overlap = false;
  Ack ack = Ack::both;
  OnMismatch on_mismatch = OnMismatch::stale;
  OnStandbyRefusal on_standby_refusal = OnStandbyRefusal::refuse;
  CompareRows compare_rows = CompareRows::unordered;
  std::uint32_t compare_window = 256U << 10;  ///< bytes
  Milliseconds standby_timeout{2000};
  Milliseconds client_stall{1000};
  Milliseconds stop_timeout{5000};       ///< how long a clean stop waits for open transactions
  Milliseconds login_timeout{60000};     ///< from accept to ReadyForQuery
  Milliseconds takeover_timeout{10000};  ///< how long a takeover waits for old legs' backends to end
  unsigned threads = 0;                  ///< 0: one a core, at most 4
  unsigned max_sessions = 10000;
  std::vector<AccessRule> access;  ///< empty: loopback and the Unix socket only
  ServiceSettings service;
  ControlSettings control;
  WitnessSettings witness;
  FencingSettings fencing;
  log::Options log;

  bool pair_mode() const { return node != Node::none; }
  const NodeSettings& node_settings(Node n) const { return n == Node::b ? b : a; }
  const NodeSettings& self() const { return node_settings(node); }
  const NodeSettings& peer() const { return node_settings(other(node)); }
  /// The server beside this relay: the master's in the flags-only mode.
  Endpoint own_postmaster() const { return pair_mode() ? self().postmaster : master.value_or(Endpoint{}); }

  /// Of a session in this database with this role.
  Discipline discipline_of(std::string_view database, std::string_view role) const;
};

/// Where a forwarder (or the tool) finds one relay.
struct RelayAddress {
  std::string host;
  std::uint16_t relay_port = 5432;
  std::uint16_t control_port = 8432;
};

struct ForwarderSettings {
  std::vector<Endpoint> listen{{"127.0.0.1", 5432}};
  std::vector<RelayAddress> relays;  ///< two
  std::string state_file;
  Milliseconds connect_wait{30000};
  log::Options log;
};

/// What `pgtandem` needs: where the relays are, the token, and for the bootstrap how to reach hosts.
struct ToolSettings {
  std::vector<RelayAddress> relays;
  std::string token_file;
  NodeSettings a;
  NodeSettings b;
  ServiceSettings service;
  // [bootstrap]
  std::string ssh_user;  ///< default: the current user
  std::uint16_t ssh_port = 22;
  std::string ssh_key;      ///< private key file; empty: agent
  std::string known_hosts;  ///< default: ~/.ssh/known_hosts
  std::string remote_pgtandem = "pgtandem";
  std::string pg_bin;         ///< folder of pg_dump and psql here; empty: PATH
  std::string remote_pg_bin;  ///< the same on the other host
};

}  // namespace pgtandem
