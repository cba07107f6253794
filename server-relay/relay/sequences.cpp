#include "server-relay/relay/sequences.h"

#include <algorithm>

namespace pgtandem {
namespace {

constexpr std::chrono::milliseconds kLimit{2000};  ///< writers wait for it

constexpr const char* kReadSql =
    "SELECT n.nspname, c.relname, coalesce(pg_sequence_last_value(c.oid), s.seqstart)::text, "
    "(pg_sequence_last_value(c.oid) IS NOT NULL)::text "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_sequence s ON s.seqrelid = c.oid "
    "WHERE c.relpersistence <> 't' ORDER BY 1, 2";

constexpr const char* kSetSql =
    "SELECT setval(format('%I.%I', $1::text, $2::text)::regclass, $3::bigint, $4::boolean)";

std::vector<SequenceValue> from_rows(const ServiceRows& rows) {
  std::vector<SequenceValue> sequences;
  for (const std::vector<std::string>& row : rows.rows) {
    if (row.size() == 4) sequences.push_back({row[0], row[1], row[2], row[3] == "true"});
  }
  return sequences;
}

bool is_there(const std::vector<SequenceValue>& own, const SequenceValue& wanted) {
  return std::ranges::any_of(
      own, [&](const SequenceValue& s) { return s.schema == wanted.schema && s.name == wanted.name; });
}

std::vector<std::string> parameters_of(const SequenceValue& s) {
  return {s.schema, s.name, s.value, s.called ? "true" : "false"};
}

}  // namespace

asio::awaitable<Result<std::vector<SequenceValue>>> read_sequences(ServiceConnection& server,
                                                                   std::string database) {
  const Result<ServiceRows> rows = co_await server.query(database, kReadSql, {}, kLimit, true);
  if (!rows) co_return Error{rows.error()};
  co_return from_rows(*rows);
}

asio::awaitable<Result<void>> set_sequences(ServiceConnection& server, std::string database,
                                            std::vector<SequenceValue> wanted) {
  const Result<std::vector<SequenceValue>> own = co_await read_sequences(server, database);
  if (!own) co_return Error{own.error()};
  for (const SequenceValue& sequence : wanted) {
    if (!is_there(*own, sequence) || std::ranges::find(*own, sequence) != own->end()) continue;
    std::vector<std::string> parameters = parameters_of(sequence);
    const Result<ServiceRows> done = co_await server.query(database, kSetSql, std::move(parameters), kLimit);
    if (!done) co_return Error{done.error()};
  }
  co_return Result<void>{};
}

nlohmann::json to_json(const std::vector<SequenceValue>& sequences) {
  nlohmann::json json = nlohmann::json::array();
  for (const SequenceValue& s : sequences)
    json.push_back({{"schema", s.schema}, {"name", s.name}, {"value", s.value}, {"called", s.called}});
  return json;
}

std::vector<SequenceValue> sequences_from(const nlohmann::json& json) {
  std::vector<SequenceValue> sequences;
  for (const nlohmann::json& one : json) {
    sequences.push_back({one.at("schema").get<std::string>(), one.at("name").get<std::string>(),
                         one.at("value").get<std::string>(), one.at("called").get<bool>()});
  }
  return sequences;
}

}  // namespace pgtandem
