/// What `pgtandem check` judges, apart from how it finds out. Pure.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "server-relay/tool/pair-status.h"
#include "server-relay/tool/text.h"

namespace pgtandem::tool {

struct Finding {
  enum class Severity { good, note, warning, error };
  Severity severity = Severity::good;
  std::string topic;       ///< what was looked at, e.g. "node a: postmaster"
  std::string text;        ///< what was found
  std::string what_to_do;  ///< where it is no good
};
using Findings = std::vector<Finding>;

/// One line of pg_hba_file_rules (PostgreSQL manual, "pg_hba_file_rules").
struct HbaRule {
  std::string line;
  std::string type;  ///< local, host, hostssl, hostnossl, hostgssenc, hostnogssenc
  std::string databases;
  std::string users;
  std::string address;
  std::string netmask;
  std::string method;
  std::string error;
};

/// What a server says of itself, as far as the pair depends on it.
struct ServerFacts {
  std::string version;  ///< server_version
  unsigned version_number = 0;
  bool superuser = false;  ///< the service user
  unsigned max_connections = 0;
  unsigned reserved_connections = 0;
  std::string listen_addresses;
  std::string encoding;
  std::string collation;
  std::string character_type;
  std::string fsync;
  std::string password_encryption;
  std::vector<HbaRule> hba;
};

/// Does the address of the relay (in figures; empty: by Unix socket) fall under the rule's lines?
bool rule_covers(const HbaRule& rule, const std::string& relay_address);
/// Does a server with these listen_addresses listen for more than its own host?
bool listens_beyond_loopback(const std::string& listen_addresses);

/// Hard point 29: the relay comes from an address of its own whoever the client is, so a rule that trusts
/// that address lets everybody in who reaches the relay. `relay_address` as for rule_covers.
Findings judge_hba(const std::string& topic, const ServerFacts& facts, const std::string& relay_address);
/// `max_sessions` of the relay, where it is known.
Findings judge_server(const std::string& topic, const ServerFacts& facts,
                      std::optional<unsigned> max_sessions);
/// What would make equal statements differ between the two.
Findings compare_servers(const ServerFacts& a, const ServerFacts& b);
/// Both control ports' answers: reachable, of one pair, seeing each other, of one version.
Findings judge_pair(const PairStatus& pair);

/// The lines to print, and whether there is an error among them.
std::string findings_text(const Findings& findings, const Style& style);
bool has_error(const Findings& findings);
std::string findings_json(const Findings& findings);

}  // namespace pgtandem::tool
