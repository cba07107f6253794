#include "server-relay/statements/classify.h"

#include <algorithm>
#include <array>

#include "server-relay/statements/lexical-scan.h"
#include "server-relay/statements/parse-tree.h"
#include "server-relay/statements/row-local.h"
#include "server-relay/statements/row-target.h"
#include "server-relay/statements/sql-lexer.h"
#include "server-relay/statements/statement-rules.h"
#include "server-relay/statements/tree-walker.h"

namespace pgtandem {
namespace {

constexpr std::size_t kMaxLocalInsert = 4096;  ///< bytes

/// Whatever it does, nothing is known to be left out.
Statement unknown_text(std::string_view text) {
  Statement statement{.kind = StatementKind::opaque};
  statement.may_use_sequences = statement.changes_catalogue = true;
  statement.names_settings = names_settings(text);
  statement.names_isolation = mentions_isolation(text);
  return statement;
}

Statement classify_one(const PgQuery__RawStmt& raw, const StatementCatalogue* catalogue) {
  TreeWalker walker(catalogue);
  walker.walk(raw.stmt->base);
  return apply_rules(*raw.stmt, walker.finish(), catalogue);
}

/// Of several statements: everything that holds for one of them.
void add(Statement& all, const Statement& one) {
  all.refuses_block |= one.refuses_block;
  all.may_use_sequences |= one.may_use_sequences;
  all.names_settings |= one.names_settings;
  all.names_isolation |= one.names_isolation;
  all.changes_catalogue |= one.changes_catalogue;
  all.shared_objects |= one.shared_objects;
  all.parameters |= one.parameters;
  all.advisory_locks |= one.advisory_locks;
  all.large_objects |= one.large_objects;
  for (const std::string& flag : one.flags) {
    if (std::ranges::find(all.flags, flag) == all.flags.end()) all.flags.push_back(flag);
  }
}

Statement classify_tree(const ParseTree& tree, const StatementCatalogue* catalogue) {
  const auto statements = tree.statements();
  if (statements.empty()) return {.kind = StatementKind::empty};
  if (statements.size() == 1) return classify_one(*statements[0], catalogue);
  Statement all{.kind = StatementKind::opaque};
  for (const PgQuery__RawStmt* raw : statements) add(all, classify_one(*raw, catalogue));
  return all;
}

}  // namespace

std::string_view to_string(StatementKind kind) {
  static constexpr std::array<std::string_view, 18> kWords{"empty",           "read",
                                                           "session",         "begin",
                                                           "savepoint",       "release",
                                                           "rollback_to",     "commit",
                                                           "rollback",        "prepare_transaction",
                                                           "finish_prepared", "cursor",
                                                           "fetch",           "execute",
                                                           "write",           "ddl",
                                                           "copy_in",         "opaque"};
  return kWords.at(std::size_t(kind));
}

bool encoding_is_ascii_safe(std::string_view client_encoding) {
  // As the server takes names: letters and digits alone count.
  std::string folded;
  for (const char c : client_encoding) {
    if (is_digit(c)) folded += c;
    if (starts_word(c) && c != '_') folded += char(c | 0x20);
  }
  static constexpr std::array<std::string_view, 12> kUnsafe{"big5",         "win950", "windows950", "gb18030",
                                                            "gbk",          "win936", "windows936", "johab",
                                                            "shiftjis2004", "sjis",   "uhc",        "win949"};
  static constexpr std::array<std::string_view, 6> kMore{"mskanji",    "shiftjis",   "win932",
                                                         "windows932", "windows949", ""};
  return std::ranges::find(kUnsafe, folded) == kUnsafe.end() &&
         std::ranges::find(kMore, folded) == kMore.end();
}

bool reads_alike(std::string_view text, TextDialect dialect) {
  if (!dialect.standard_strings && text.find('\\') != std::string_view::npos) return false;
  return dialect.ascii_safe ||
         std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

Statement classify(std::string_view text, const StatementCatalogue* catalogue, TextDialect dialect) {
  if (const auto known = classify_by_words(text)) return *known;
  if (text.size() > kMaxParsedText || text.find('\0') != std::string_view::npos ||
      !reads_alike(text, dialect)) {
    return unknown_text(text);
  }
  // A short one may be row-local, which takes the parser and is then remembered.
  const bool may_be_local = catalogue != nullptr && text.size() <= kMaxLocalInsert;
  if (auto insert = may_be_local ? std::nullopt : classify_insert_of_constants(text)) {
    insert->names_settings = names_settings(text);
    return *std::move(insert);
  }
  if (!parse_cost(text).is_bearable()) return unknown_text(text);
  const auto tree = ParseTree::parse(std::string(text));
  if (!tree) return unknown_text(text);
  Statement statement = classify_tree(*tree, catalogue);
  if (tree->statements().size() == 1 && tree->statements()[0]->stmt != nullptr) {
    const PgQuery__Node& node = *tree->statements()[0]->stmt;
    statement.row_target = find_row_target(node, text);
    statement.row_local =
        statement.kind == StatementKind::write && catalogue != nullptr && is_row_local(node, *catalogue);
    if (statement.row_local) {
      statement.may_use_sequences = false;
      statement.row_order = row_order(node, *catalogue, statement.row_target);
    }
  }
  statement.names_settings |= names_settings(text);
  if (statement.kind == StatementKind::opaque) statement.names_isolation |= mentions_isolation(text);
  return statement;
}

}  // namespace pgtandem
