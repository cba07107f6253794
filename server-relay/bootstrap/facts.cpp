#include "server-relay/bootstrap/facts.h"

#include <numeric>

#include <nlohmann/json.hpp>

namespace pgtandem::bootstrap {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(DatabaseFacts, name, encoding, provider, collate, ctype, collation_version,
                                   allows_connections, is_template, bytes, table_bytes, counts, sequences,
                                   extensions, collations, subscriptions)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RoleFacts, digest, expires, bootstrap)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(MembershipFacts, role, member, grantor)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ServerFacts, tool_version, server_version, system_identifier, started,
                                   data_directory, superuser, in_recovery, prepared_transactions,
                                   next_transaction, databases, roles, memberships, tablespaces,
                                   available_extensions, available_collations, replication_slots, free_bytes,
                                   free_bytes_known, client_version, client_error, missing_locales,
                                   tablespace_folders)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(FactsRequest, locales, tablespace_locations)

namespace {

template <typename T>
std::string dump(const T& value) {
  return nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

template <typename T>
Result<T> parse(std::string_view text, const char* what) {
  try {
    return nlohmann::json::parse(text).get<T>();
  } catch (const nlohmann::json::exception& e) {
    return Error{std::string(what) + " cannot be read (" + e.what() +
                 "); is the same version installed on both hosts?"};
  }
}

}  // namespace

std::int64_t DatabaseFacts::objects() const {
  return std::accumulate(counts.begin(), counts.end(), std::int64_t(0),
                         [](std::int64_t sum, const auto& count) { return sum + count.second; });
}

const DatabaseFacts* ServerFacts::find(std::string_view database) const {
  for (const DatabaseFacts& facts : databases) {
    if (facts.name == database) return &facts;
  }
  return nullptr;
}

std::string to_json(const ServerFacts& facts) {
  return dump(facts);
}
std::string to_json(const FactsRequest& request) {
  return dump(request);
}
Result<ServerFacts> parse_facts(std::string_view json) {
  return parse<ServerFacts>(json, "what the other host says about its server");
}
Result<FactsRequest> parse_facts_request(std::string_view json) {
  return parse<FactsRequest>(json, "the question about this server");
}

}  // namespace pgtandem::bootstrap
