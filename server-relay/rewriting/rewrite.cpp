#include "server-relay/rewriting/rewrite.h"

#include <algorithm>
#include <array>

#include "server-relay/rewriting/default-columns.h"
#include "server-relay/rewriting/password-verifier.h"
#include "server-relay/rewriting/source-finder.h"
#include "server-relay/statements/lexical-scan.h"

namespace pgtandem {
namespace {

using namespace std::string_view_literals;

/// The part of a statement whose sources count, null if there is none; and whether they have to stay, since
/// the text is stored, or may not have parameters.
struct RunningStatement {
  const PgQuery__Node* node = nullptr;
  bool stays = false;
};

bool is_query(const PgQuery__Node* node) {
  switch (node->node_case) {
    case PG_QUERY__NODE__NODE_INSERT_STMT:
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
    case PG_QUERY__NODE__NODE_DELETE_STMT:
    case PG_QUERY__NODE__NODE_MERGE_STMT:
    case PG_QUERY__NODE__NODE_SELECT_STMT:
      return true;
    default:
      return false;
  }
}

/// Gives rows that are there values of their own.
bool fills_rows(const PgQuery__AlterTableStmt& alter) {
  return std::any_of(alter.cmds, alter.cmds + alter.n_cmds, [](const PgQuery__Node* node) {
    const PgQuery__AlterTableType what = node->alter_table_cmd->subtype;
    return what == PG_QUERY__ALTER_TABLE_TYPE__AT_AddColumn ||
           what == PG_QUERY__ALTER_TABLE_TYPE__AT_AlterColumnType;
  });
}

RunningStatement running_statement(const PgQuery__Node* node) {
  if (is_query(node)) return {node};
  switch (node->node_case) {
    case PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT: {
      const PgQuery__CreateTableAsStmt& create = *node->create_table_as_stmt;
      // A materialized view runs its query again; EXECUTE runs what was prepared.
      const bool runs = create.objtype == PG_QUERY__OBJECT_TYPE__OBJECT_TABLE && is_query(create.query);
      return {runs ? create.query : node, !runs};
    }
    case PG_QUERY__NODE__NODE_EXPLAIN_STMT:
      return running_statement(node->explain_stmt->query);
    case PG_QUERY__NODE__NODE_COPY_STMT:
      // No expression of it takes parameters in the extended protocol.
      return {node, true};
    case PG_QUERY__NODE__NODE_PREPARE_STMT:
    case PG_QUERY__NODE__NODE_EXECUTE_STMT:
      return {node, true};
    case PG_QUERY__NODE__NODE_ALTER_TABLE_STMT:
      return fills_rows(*node->alter_table_stmt) ? RunningStatement{node, true} : RunningStatement{};
    default:
      return {};
  }
}

FoundSources find_sources(const RunningStatement& running, const TokenList& tokens,
                          const RewriteRequest& request, RewriteClasses classes) {
  if (running.stays) classes = {false, false, false, false};
  SourceFinder finder(tokens, request.catalogue, classes);
  finder.walk(running.node->base);
  FoundSources found = finder.finish();
  if (request.catalogue != nullptr) {
    DefaultColumns(tokens, *request.catalogue, classes, found).visit(*running.node);
  }
  return found;
}

std::size_t count_own_values(const std::vector<Replacement>& replacements) {
  std::size_t count = 0;
  for (const Replacement& replacement : replacements) {
    count += std::size_t(std::ranges::count_if(
        replacement.parts, [](const ReplacementPart& part) { return part.source && part.source->once; }));
  }
  return count;
}

/// In the order of the text, each once. False if two of them overlap.
bool arrange(std::vector<Replacement>& replacements) {
  const auto by_place = [](const Replacement& one, const Replacement& other) {
    return std::pair(one.span.begin, one.span.end) < std::pair(other.span.begin, other.span.end);
  };
  std::ranges::sort(replacements, by_place);
  const auto again =
      std::unique(replacements.begin(), replacements.end(),
                  [](const Replacement& one, const Replacement& other) { return one.span == other.span; });
  replacements.erase(again, replacements.end());
  const auto overlap = std::ranges::adjacent_find(
      replacements, [](const auto& one, const auto& next) { return one.span.end > next.span.begin; });
  return overlap == replacements.end();
}

RewritePlan plan_of(FoundSources found, const RewriteRequest& request) {
  if (found.all_or_none_failed || !arrange(found.replacements)) {
    found.replacements.clear();
    found.miss("now");
  }
  RewritePlan plan;
  if (!found.replacements.empty()) {
    plan = RewritePlan(request.text, found.replacements, found.highest_parameter, request.width);
  }
  plan.set_not_rewritten({found.missed.begin(), found.missed.end()});
  return plan;
}

RewritePlan password_plan(const PgQuery__Node& statement, const TokenList& tokens,
                          const RewriteRequest& request) {
  if (!request.classes.passwords) return {};
  PasswordRewriting password = rewrite_password(statement, tokens, request.passwords);
  FoundSources found;
  if (password.missed) found.miss("password");
  if (password.replacement) found.replacements.push_back(*std::move(password.replacement));
  RewritePlan plan = plan_of(std::move(found), request);
  plan.forbid_keeping();
  return plan;
}

bool is_role_statement(const PgQuery__Node& statement) {
  return statement.node_case == PG_QUERY__NODE__NODE_CREATE_ROLE_STMT ||
         statement.node_case == PG_QUERY__NODE__NODE_ALTER_ROLE_STMT;
}

char folded(char c) {
  return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
}

template <std::size_t N>
bool contains_one_of(std::string_view text, const std::array<std::string_view, N>& words) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = folded(text[i]);
    for (const std::string_view word : words) {
      if (c == word[0] && equals_folded(text.substr(i, word.size()), word)) return true;
    }
  }
  return false;
}

/// Some name in the text is that of a relation with a default that has a source.
bool may_use_defaults(std::string_view text, const RewriteCatalogue& catalogue) {
  SqlLexer lexer(text);
  std::string name;
  for (SqlToken token = lexer.next(); token.kind != SqlToken::Kind::end; token = lexer.next()) {
    if (token.kind == SqlToken::Kind::quoted_identifier) {
      if (token.text[0] != '"' || token.text.find("\"\"") != std::string_view::npos) return true;
      name = token.text.substr(1, token.text.size() - 2);
    } else if (token.kind == SqlToken::Kind::word) {
      name.assign(token.text);
      for (char& c : name) c = folded(c);
    } else {
      continue;
    }
    constexpr std::size_t kLongestName = 63;  // the server cuts longer ones
    if (name.size() > kLongestName || catalogue.relation_has_rewritten_default({}, name)) return true;
  }
  return false;
}

bool is_flagged(const Statement& statement) {
  if (statement.large_objects) return true;
  static constexpr std::array kFlags{"now"sv, "clock_timestamp"sv, "random"sv, "uuid"sv};
  return std::ranges::any_of(statement.flags, [](const std::string& flag) {
    return std::ranges::find(kFlags, flag) != kFlags.end();
  });
}

}  // namespace

bool may_need_rewriting(std::string_view text, const Statement& statement, const RewriteCatalogue* catalogue,
                        RewriteClasses classes) {
  if (statement.kind == StatementKind::read || statement.kind == StatementKind::opaque) return false;
  if (is_flagged(statement)) return true;
  static constexpr std::array kPassword{"password"sv};
  if (statement.shared_objects) return classes.passwords && contains_one_of(text, kPassword);
  const bool prepares_insert = statement.kind == StatementKind::session && statement.may_use_sequences;
  if (statement.kind != StatementKind::write && statement.kind != StatementKind::copy_in &&
      statement.kind != StatementKind::ddl && !prepares_insert) {
    return false;
  }
  // A literal that takes the type of its column.
  static constexpr std::array kClockLiterals{"'now'"sv, "'today'"sv, "'tomorrow'"sv, "'yesterday'"sv};
  if (contains_one_of(text, kClockLiterals)) return true;
  static constexpr std::array kClockWords{"now"sv, "today"sv, "tomorrow"sv, "yesterday"sv};
  if (contains_one_of(text, kClockWords) && !classify_insert_of_constants(text)) return true;
  return catalogue != nullptr && catalogue->has_rewritten_defaults() && may_use_defaults(text, *catalogue);
}

RewritePlan rewrite_plan(const RewriteRequest& request) {
  const std::string_view text = request.text;
  if (text.size() > kMaxParsedText || text.find('\0') != std::string_view::npos ||
      !reads_alike(text, request.dialect) || !parse_cost(text).is_bearable()) {
    return {};
  }
  const auto tree = ParseTree::parse(std::string(text));
  if (!tree || tree->statements().size() != 1) return {};
  const PgQuery__Node* statement = tree->statements()[0]->stmt;
  const TokenList tokens(text);
  if (is_role_statement(*statement)) return password_plan(*statement, tokens, request);
  const RunningStatement running = running_statement(statement);
  if (running.node == nullptr) return {};
  FoundSources found = find_sources(running, tokens, request, request.classes);
  if (count_own_values(found.replacements) > kMaxOwnValues) {
    RewriteClasses fewer = request.classes;
    fewer.volatile_values = false;
    found = find_sources(running, tokens, request, fewer);
  }
  return plan_of(std::move(found), request);
}

}  // namespace pgtandem
