/// Columns whose DEFAULT has a source: where a statement leaves them out, or says DEFAULT, the expression is
/// written into its text.
#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "server-relay/rewriting/insert-shape.h"
#include "server-relay/rewriting/source-finder.h"

namespace pgtandem {

class DefaultColumns {
 public:
  /// All of it must outlive the object; replacements and flags are added to `found`.
  DefaultColumns(const TokenList& tokens, const RewriteCatalogue& catalogue, RewriteClasses classes,
                 FoundSources& found)
      : tokens_(tokens), catalogue_(catalogue), classes_(classes), found_(found) {}

  /// INSERT, UPDATE, MERGE and COPY FROM, with those in WITH, PREPARE and COPY; all else has no columns.
  void visit(const PgQuery__Node& statement);

 private:
  using Column = RewriteTable::Column;

  void visit_with(const PgQuery__WithClause* with);
  void visit_insert(const PgQuery__InsertStmt& insert);
  void visit_merge(const PgQuery__MergeStmt& merge);
  void visit_copy(const PgQuery__CopyStmt& copy);
  void visit_assignments(const PgQuery__RangeVar* relation, PgQuery__Node* const* targets, std::size_t count);
  void assign(const Column& column, const PgQuery__Node& value, bool once);

  const RewriteTable* table(const PgQuery__RangeVar* relation);
  bool is_usable(const RewrittenDefault& value, bool once) const;
  std::vector<const Column*> left_out(const RewriteTable& table, std::span<const Column* const> given,
                                      InsertShape::Form form);
  void replace_in_rows(const PgQuery__SelectStmt& values, std::span<const Column* const> given);
  void add_to_values(const InsertShape& shape, std::span<const Column* const> given,
                     std::span<const Column* const> added);
  void add_to_query(const PgQuery__SelectStmt& select, const InsertShape& shape,
                    std::span<const Column* const> given, std::span<const Column* const> added);
  void add_to_default_values(const InsertShape& shape, std::span<const Column* const> added);
  void insert_text(std::size_t at, std::string text);
  void miss() { found_.miss("column default"); }

  const TokenList& tokens_;
  const RewriteCatalogue& catalogue_;
  RewriteClasses classes_;
  FoundSources& found_;
};

}  // namespace pgtandem
