#include "server-relay/rewriting/source-functions.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "server-relay/statements/known-functions.h"

namespace pgtandem {
namespace {

using namespace std::string_view_literals;

constexpr std::uint32_t kTextOid = 25;
constexpr std::uint32_t kInt4Oid = 23;
constexpr std::uint32_t kInt8Oid = 20;
constexpr std::uint32_t kOidOid = 26;
constexpr std::uint32_t kFloat8Oid = 701;
constexpr std::uint32_t kTimestamptzOid = 1184;
constexpr std::uint32_t kUuidOid = 2950;

struct TypeOfValue {
  std::uint32_t oid;
  std::string_view name;
};
constexpr TypeOfValue kText{kTextOid, "pg_catalog.text"};
constexpr TypeOfValue kInt4{kInt4Oid, "pg_catalog.int4"};
constexpr TypeOfValue kInt8{kInt8Oid, "pg_catalog.int8"};
constexpr TypeOfValue kFloat8{kFloat8Oid, "pg_catalog.float8"};
constexpr TypeOfValue kTimestamptz{kTimestamptzOid, "pg_catalog.timestamptz"};
constexpr TypeOfValue kUuid{kUuidOid, "pg_catalog.uuid"};
constexpr TypeOfValue kOid{kOidOid, "pg_catalog.oid"};

/// Independent of DateStyle and TimeZone.
std::string time_in_utc(std::string_view call) {
  return "pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog." + std::string(call) +
         "), 'YYYY-MM-DD HH24:MI:SS.US\"+00\"')";
}

Source make(bool once, std::string expression, TypeOfValue type, std::string_view flag) {
  return {once, std::move(expression), type.oid, type.name, flag};
}

/// Servers of every supported version have it in pg_catalog.
bool is_everywhere(std::string_view name, std::size_t arguments) {
  static constexpr std::array kNames{"now"sv,    "transaction_timestamp"sv, "statement_timestamp"sv,
                                     "random"sv, "clock_timestamp"sv,       "timeofday"sv};
  return arguments == 0 && std::ranges::find(kNames, name) != kNames.end();
}

bool is_uuid_function(std::string_view name) {
  static constexpr std::array kNames{
      "gen_random_uuid"sv,    "uuidv4"sv,          "uuidv7"sv, "uuid_generate_v1"sv,
      "uuid_generate_v1mc"sv, "uuid_generate_v4"sv};
  return std::ranges::find(kNames, name) != kNames.end();
}

std::optional<std::int64_t> integer_constant(const PgQuery__Node* node) {
  if (node->node_case != PG_QUERY__NODE__NODE_A_CONST) return std::nullopt;
  const PgQuery__AConst& constant = *node->a_const;
  if (constant.val_case == PG_QUERY__A__CONST__VAL_IVAL) return constant.ival->ival;
  if (constant.val_case != PG_QUERY__A__CONST__VAL_FVAL) return std::nullopt;
  const std::string_view digits = constant.fval->fval;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

bool is_number(const PgQuery__Node* node) {
  return node->node_case == PG_QUERY__NODE__NODE_A_CONST &&
         (node->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL ||
          node->a_const->val_case == PG_QUERY__A__CONST__VAL_FVAL);
}

/// random(low, high) of PostgreSQL 17, for whole numbers: an evaluation must not fail.
std::optional<TypeOfValue> type_of_range(const PgQuery__FuncCall& call) {
  const auto low = integer_constant(call.args[0]);
  const auto high = integer_constant(call.args[1]);
  if (!low || !high || *low > *high) return std::nullopt;
  const bool is_int4 = call.args[0]->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL &&
                       call.args[1]->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL;
  return is_int4 ? kInt4 : kInt8;
}

std::optional<TypeOfValue> type_of_random(const PgQuery__FuncCall& call, std::string_view name) {
  if (name == "random" && call.n_args == 0) return kFloat8;
  if (name == "random" && call.n_args == 2) return type_of_range(call);
  const bool numbers = std::all_of(call.args, call.args + call.n_args, is_number);
  if (name == "random_normal" && call.n_args <= 2 && numbers) return kFloat8;
  return std::nullopt;
}

bool is_plain_call(const PgQuery__FuncCall& call) {
  return call.n_agg_order == 0 && call.agg_filter == nullptr && call.over == nullptr &&
         !call.agg_within_group && !call.agg_star && !call.agg_distinct && !call.func_variadic &&
         call.n_funcname <= 2;
}

}  // namespace

const char* const kUnusedLargeObjectSql =
    "(SELECT c.n FROM (SELECT (16384 + (('x' || pg_catalog.substr(pg_catalog.md5("
    "pg_catalog.gen_random_uuid()::pg_catalog.text), 1, 8))::pg_catalog.bit(32)::pg_catalog.int8 & "
    "4294967295) "
    "% 4294950911)::pg_catalog.oid AS n FROM pg_catalog.generate_series(1, 8)) c WHERE NOT EXISTS "
    "(SELECT FROM pg_catalog.pg_largeobject_metadata m WHERE m.oid = c.n) LIMIT 1)";

Source unused_large_object() {
  return make(true, kUnusedLargeObjectSql, kOid, "large object");
}

bool lets_server_choose_oid(const PgQuery__FuncCall& call) {
  const auto [schema, name] = qualified_name(call.funcname, call.n_funcname);
  if (!is_plain_call(call) || (!schema.empty() && schema != "pg_catalog") || call.n_args == 0) return false;
  const bool first_is_zero = integer_constant(call.args[0]) == 0;
  if (name == "lo_import") return call.n_args == 1;
  if (name == "lo_creat") return call.n_args == 1 && integer_constant(call.args[0]).has_value();
  return (name == "lo_create" && call.n_args == 1 && first_is_zero) ||
         (name == "lo_from_bytea" && call.n_args == 2 && first_is_zero);
}

std::string quoted_identifier(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) out.append(c == '"' ? 2 : 1, c);
  return out += '"';
}

Source transaction_time() {
  return make(false, time_in_utc("now()"), kTimestamptz, "now");
}

Source statement_time() {
  return make(false, time_in_utc("statement_timestamp()"), kTimestamptz, "now");
}

std::string_view flag_of_source_function(const PgQuery__FuncCall& call) {
  const std::string_view name = qualified_name(call.funcname, call.n_funcname).name;
  if (name == "age" && call.n_args != 1) return {};
  const std::string_view flag = divergence_of_function(name);
  const bool ours = flag == "now" || flag == "clock_timestamp" || flag == "random" || flag == "uuid";
  return ours ? flag : std::string_view();
}

std::optional<Source> source_of_call(const PgQuery__FuncCall& call, const TokenList& tokens,
                                     std::size_t first, std::size_t last, const RewriteCatalogue* catalogue) {
  const auto [schema, name] = qualified_name(call.funcname, call.n_funcname);
  if (!is_plain_call(call)) return std::nullopt;
  std::string home = "pg_catalog";
  if (catalogue == nullptr) {
    if (!is_everywhere(name, call.n_args) || (!schema.empty() && schema != home)) return std::nullopt;
  } else {
    const auto found = catalogue->home_of_function(schema, name, call.n_args);
    if (!found) return std::nullopt;
    home = *found;
  }
  const std::string_view flag = flag_of_source_function(call);
  const std::string expression = quoted_identifier(home) + "." + quoted_identifier(name) +
                                 tokens.joined(*tokens.end_of_name(first) + 1, last);
  if (flag == "uuid" && is_uuid_function(name) && call.n_args == 0)
    return make(true, expression, kUuid, flag);
  if (home != "pg_catalog") return std::nullopt;
  if (flag == "random") {
    const auto type = type_of_random(call, name);
    return type ? std::optional(make(true, expression, *type, flag)) : std::nullopt;
  }
  if (call.n_args != 0) return std::nullopt;
  if (name == "now" || name == "transaction_timestamp") return transaction_time();
  if (name == "statement_timestamp") return statement_time();
  if (name == "clock_timestamp") return make(true, time_in_utc("clock_timestamp()"), kTimestamptz, flag);
  if (name == "timeofday") return make(true, expression, kText, flag);
  return std::nullopt;
}

}  // namespace pgtandem
