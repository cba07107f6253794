/// What the bootstrap needs to know of a server and its host, before the copy (preflight.h) and after it
/// (verify.h). Asked on both sides by the same code; the target's answer travels as JSON. Names are UTF-8.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "server-relay/bootstrap/pg-session.h"

namespace pgtandem::bootstrap {

struct DatabaseFacts {
  std::string name;
  std::string encoding;
  std::string provider;  ///< "libc", "icu" or "builtin"
  std::string collate;
  std::string ctype;
  std::string collation_version;  ///< as the database recorded it; empty where the server does not
  bool allows_connections = true;
  bool is_template = false;
  std::uint64_t bytes = 0;                        ///< pg_database_size
  std::uint64_t table_bytes = 0;                  ///< of it without indexes
  std::map<std::string, std::int64_t> counts;     ///< tables, indexes, functions, ... that no extension owns
  std::map<std::string, std::string> sequences;   ///< "schema.name": last value
  std::map<std::string, std::string> extensions;  ///< name: version
  std::set<std::string> collations;               ///< of the system catalogue, that columns use
  std::vector<std::string> subscriptions;

  std::int64_t objects() const;
};

struct RoleFacts {
  std::string digest;  ///< SHA-256 over flags, limits and verifier
  bool expires = false;
  bool bootstrap = false;  ///< the superuser that initdb made: cannot be dropped
};

struct MembershipFacts {
  std::string role;
  std::string member;
  std::string grantor;
};

struct ServerFacts {
  std::string tool_version;
  int server_version = 0;  ///< server_version_num
  std::string system_identifier;
  std::string started;  ///< of the postmaster, microseconds: tells two servers of one base backup apart
  std::string data_directory;
  bool superuser = false;
  bool in_recovery = false;
  std::int64_t prepared_transactions = 0;
  std::string next_transaction;          ///< rises with every transaction that writes
  std::vector<DatabaseFacts> databases;  ///< template0 left out
  std::map<std::string, RoleFacts> roles;
  std::vector<MembershipFacts> memberships;
  std::map<std::string, std::string> tablespaces;           ///< name: location; the built-in ones left out
  std::map<std::string, std::string> available_extensions;  ///< name: default version
  std::map<std::string, std::string> available_collations;  ///< of the system catalogue: version or ""
  std::vector<std::string> replication_slots;

  // Of the host; only where the program runs there.
  std::uint64_t free_bytes = 0;  ///< in the data directory's file system
  bool free_bytes_known = false;
  std::string client_version;                             ///< psql or pg_dump: "15.20"; empty: not found
  std::string client_error;                               ///< why it was not found
  std::set<std::string> missing_locales;                  ///< of FactsRequest::locales
  std::map<std::string, std::string> tablespace_folders;  ///< location: "missing", "in use" or "usable"

  const DatabaseFacts* find(std::string_view database) const;
};

/// What the asking side wants to know of the other host.
struct FactsRequest {
  std::vector<std::string> locales;
  std::vector<std::string> tablespace_locations;
};

std::string to_json(const ServerFacts& facts);
std::string to_json(const FactsRequest& request);
Result<ServerFacts> parse_facts(std::string_view json);
Result<FactsRequest> parse_facts_request(std::string_view json);

/// Asks the server (facts-query.cpp). Logs in to every database that allows it.
Result<ServerFacts> query_server_facts(const PgLogin& login);
/// Adds what only its host knows: free space, the version of `program` (psql or pg_dump) in `pg_bin`,
/// locales, folders.
void add_host_facts(ServerFacts& facts, const FactsRequest& request, const std::string& program,
                    const std::string& pg_bin);

/// `program` in `folder`, or by PATH where the folder is empty.
std::string program_path(const std::string& folder, const std::string& program);

}  // namespace pgtandem::bootstrap
