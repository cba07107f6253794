#include "server-relay/rewriting/rewrite-catalogue.h"

#include <algorithm>
#include <charconv>

#include "server-relay/rewriting/source-finder.h"
#include "server-relay/statements/lexical-scan.h"

namespace pgtandem {
namespace {

constexpr std::string_view kSelect = "SELECT ";

bool parse_count(std::string_view text, std::size_t& count) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  return error == std::errc() && end == text.data() + text.size();
}

/// The expression behind SELECT; null where the text is another thing.
const PgQuery__Node* only_expression(const ParseTree& tree) {
  if (tree.statements().size() != 1) return nullptr;
  const PgQuery__Node* statement = tree.statements()[0]->stmt;
  if (statement->node_case != PG_QUERY__NODE__NODE_SELECT_STMT || statement->select_stmt->n_target_list != 1)
    return nullptr;
  return statement->select_stmt->target_list[0]->res_target->val;
}

bool names_nextval(const TokenList& tokens) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens.is_word(i, "nextval")) return true;
  }
  return false;
}

/// Cuts "SELECT expression" at the sources.
std::vector<ReplacementPart> parts_of(const TokenList& tokens, std::vector<Replacement> replacements) {
  std::ranges::sort(replacements, {}, [](const Replacement& r) { return r.span.begin; });
  std::vector<ReplacementPart> parts{{"("}};
  std::size_t at = kSelect.size();
  for (Replacement& replacement : replacements) {
    parts.push_back({std::string(tokens.text({at, replacement.span.begin}))});
    std::ranges::move(replacement.parts, std::back_inserter(parts));
    at = replacement.span.end;
  }
  parts.push_back({std::string(tokens.text({at, tokens.text().size()})) + ")"});
  return parts;
}

/// A default that the parser of PostgreSQL 15 refuses, of a later server: has it a source's name in it?
bool may_name_source(std::string_view sql) {
  for (const std::string_view word :
       {"now", "timestamp", "current_date", "current_time", "localtime", "random", "uuid", "timeofday"}) {
    if (sql.find(word) != std::string_view::npos) return true;
  }
  return false;
}

std::optional<RewrittenDefault> judge_default(const std::string& sql, const RewriteCatalogue& catalogue) {
  const std::string text = std::string(kSelect) + sql;
  const bool bearable = text.find('\0') == std::string::npos && parse_cost(text).is_bearable();
  const auto tree = bearable ? ParseTree::parse(text) : std::nullopt;
  const PgQuery__Node* expression = tree ? only_expression(*tree) : nullptr;
  if (expression == nullptr) return may_name_source(sql) ? std::optional(RewrittenDefault()) : std::nullopt;
  const TokenList tokens(text);
  SourceFinder finder(tokens, &catalogue, {});
  finder.walk(expression->base, true);
  FoundSources found = finder.finish();
  if (found.replacements.empty() && found.missed.empty()) return std::nullopt;
  RewrittenDefault out{.has_nextval = names_nextval(tokens)};
  for (const Replacement& replacement : found.replacements) {
    for (const ReplacementPart& part : replacement.parts) {
      if (part.source) (part.source->once ? out.has_once : out.has_time) = true;
    }
  }
  if (found.missed.empty()) out.parts = parts_of(tokens, std::move(found.replacements));
  return out;
}

}  // namespace

Result<std::shared_ptr<const RewriteCatalogue>> RewriteCatalogue::from_rows(
    const RewriteCatalogueRows& rows) {
  const auto catalogue = std::make_shared<RewriteCatalogue>();
  if (const auto added = catalogue->add_functions(rows.functions); !added) return Error{added.error()};
  if (const auto added = catalogue->add_columns(rows.columns); !added) return Error{added.error()};
  return std::shared_ptr<const RewriteCatalogue>(catalogue);
}

Result<void> RewriteCatalogue::add_functions(CatalogueRows rows) {
  for (const auto& row : rows) {
    Function function;
    if (row.size() != 5 || !parse_count(row[2], function.least_arguments) ||
        !parse_count(row[3], function.most_arguments)) {
      return Error{"the server's list of functions for rewriting has an unexpected form"};
    }
    function.schema = row[1];
    function.trusted = row[4] == "t";
    functions_[row[0]].push_back(std::move(function));
  }
  return {};
}

/// The rows of one relation follow each other.
Result<void> RewriteCatalogue::add_columns(CatalogueRows rows) {
  if (rows.size() > StatementCatalogue::kMaxRows) {
    return Error{
        "more than a million columns in tables whose defaults name a clock or a random value: column "
        "defaults cannot be rewritten"};
  }
  for (const auto& row : rows) {
    if (row.size() != 5) return Error{"the server's list of column defaults has an unexpected form"};
    std::vector<RewriteTable>& named = relations_[row[1]];
    const bool is_new = named.empty() || named.back().schema != row[0];
    if (is_new) {
      named.push_back({.schema = row[0], .may_name_columns = row[2] == "t", .is_view = row[2] == "v"});
    }
    if (row[3].empty()) continue;
    named.back().columns.push_back({row[3]});
    if (!row[4].empty()) named.back().columns.back().rewritten = judge_default(row[4], *this);
  }
  for (auto& [name, tables] : relations_) {
    for (RewriteTable& table : tables) {
      const bool rewritten =
          std::ranges::any_of(table.columns, [](const auto& column) { return column.rewritten.has_value(); });
      if (!rewritten) table.columns.clear();
      has_rewritten_defaults_ = has_rewritten_defaults_ || rewritten || table.is_view;
    }
  }
  return {};
}

std::optional<std::string> RewriteCatalogue::home_of_function(std::string_view schema, std::string_view name,
                                                              std::size_t arguments) const {
  const auto named = functions_.find(name);
  if (named == functions_.end()) return std::nullopt;
  const Function* meant = nullptr;
  for (const Function& function : named->second) {
    if (!schema.empty() && function.schema != schema) continue;
    if (arguments < function.least_arguments || arguments > function.most_arguments) continue;
    if (!function.trusted) return std::nullopt;
    // pgcrypto's gen_random_uuid() gives what the server's own does.
    if (meant == nullptr || function.schema == "pg_catalog") meant = &function;
  }
  return meant != nullptr ? std::optional(meant->schema) : std::nullopt;
}

bool RewriteCatalogue::relation_has_rewritten_default(std::string_view schema, std::string_view name) const {
  const auto named = relations_.find(name);
  return named != relations_.end() && std::ranges::any_of(named->second, [&](const RewriteTable& table) {
           return (!table.columns.empty() || table.is_view) && (schema.empty() || table.schema == schema);
         });
}

const RewriteTable* RewriteCatalogue::table(std::string_view schema, std::string_view name) const {
  const auto named = relations_.find(name);
  if (named == relations_.end()) return nullptr;
  const RewriteTable* meant = nullptr;
  for (const RewriteTable& table : named->second) {
    if (!schema.empty() && table.schema != schema) continue;
    if (meant != nullptr) return nullptr;
    meant = &table;
  }
  return meant != nullptr && !meant->columns.empty() ? meant : nullptr;
}

}  // namespace pgtandem
