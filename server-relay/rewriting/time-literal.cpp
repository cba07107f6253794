#include "server-relay/rewriting/time-literal.h"

#include <array>

#include "server-relay/rewriting/source-functions.h"

namespace pgtandem {
namespace {

using namespace std::string_view_literals;

constexpr std::array kClockWords{"now"sv, "today"sv, "tomorrow"sv, "yesterday"sv};

std::string trimmed_and_folded(std::string_view text) {
  while (!text.empty() && is_sql_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_sql_blank(text.back())) text.remove_suffix(1);
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
  return out;
}

bool names_the_clock(std::string_view folded) {
  for (const std::string_view word : kClockWords) {
    if (folded.find(word) != std::string_view::npos) return true;
  }
  return false;
}

bool is_type_of_day(std::string_view type) {
  return type == "date" || type == "timestamp" || type == "timestamptz";
}

bool is_type_of_time(std::string_view type) {
  return is_type_of_day(type) || type == "time" || type == "timetz";
}

/// What the literal stands for, as an operand of a cast to its type. Midnight of the session's time zone is
/// what a date is, cast to any of the types.
std::vector<ReplacementPart> value_of(std::string_view word) {
  if (word == "now") return {{"", transaction_time()}};
  std::vector<ReplacementPart> parts{{word == "today" ? "(" : "((", transaction_time()}};
  std::string rest = "::pg_catalog.date)";
  if (word == "tomorrow") rest += " OPERATOR(pg_catalog.+) 1)";
  if (word == "yesterday") rest += " OPERATOR(pg_catalog.-) 1)";
  parts.push_back({rest});
  return parts;
}

/// timestamp (0) 'now' becomes (value::timestamp (0) ).
std::optional<Replacement> replace_prefixed(const PgQuery__TypeCast& cast, const TokenList& tokens,
                                            std::size_t first_of_literal, std::string_view word) {
  const auto first = tokens.at(cast.type_name->location);
  const auto last = tokens.end_of_string(first_of_literal);
  if (!first || !last || *first >= first_of_literal) return std::nullopt;
  const std::size_t begin = tokens[*first].span.begin;
  const std::string_view type = tokens.text({begin, tokens[first_of_literal].span.begin});
  Replacement replacement{{begin, tokens[*last].span.end}, value_of(word)};
  replacement.parts.front().text.insert(0, "(");
  replacement.parts.push_back({"::" + std::string(type) + ")" + tokens.comments(first_of_literal, *last)});
  return replacement;
}

std::optional<Replacement> replace(const PgQuery__TypeCast& cast, const TokenList& tokens,
                                   std::string_view word) {
  const auto literal = tokens.at(cast.arg->a_const->location);
  if (!literal || !tokens.is_string(*literal)) return std::nullopt;
  // Only this spelling leaves the cast without a place of its own.
  if (cast.location < 0) return replace_prefixed(cast, tokens, *literal, word);
  const auto last = tokens.end_of_string(*literal);
  if (!last) return std::nullopt;
  Replacement replacement{tokens.span(*literal, *last), value_of(word)};
  replacement.parts.push_back({tokens.comments(*literal, *last)});
  return replacement;
}

}  // namespace

TimeLiteral find_time_literal(const PgQuery__TypeCast& cast, const TokenList& tokens) {
  const PgQuery__Node* literal = cast.arg;
  const auto constant = string_constant(literal);
  if (!constant || cast.type_name == nullptr) return {};
  const auto [schema, type] = qualified_name(cast.type_name->names, cast.type_name->n_names);
  const std::string word = trimmed_and_folded(*constant);
  if (!is_type_of_time(type) || !names_the_clock(word)) return {};
  TimeLiteral found{.is_source = true, .replacement = std::nullopt};
  const bool is_certain = literal->node_case == PG_QUERY__NODE__NODE_A_CONST &&
                          (schema.empty() || schema == "pg_catalog") && cast.type_name->n_array_bounds == 0 &&
                          !cast.type_name->setof;
  const bool is_word = word == "now" || (is_type_of_day(type) &&
                                         (word == "today" || word == "tomorrow" || word == "yesterday"));
  if (is_certain && is_word) found.replacement = replace(cast, tokens, word);
  return found;
}

}  // namespace pgtandem
