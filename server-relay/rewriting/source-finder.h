/// Walks a parse tree and finds what the two servers would compute differently, with what replaces it.
#pragma once
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "server-relay/rewriting/rewrite-catalogue.h"
#include "server-relay/rewriting/source.h"
#include "server-relay/statements/parse-tree.h"

namespace pgtandem {

struct FoundSources {
  std::vector<Replacement> replacements;  ///< in no order; the same one may come several times
  std::vector<std::string_view> missed;   ///< flags of what has to stay as it is
  unsigned highest_parameter = 0;
  /// Where some are replaced and others not, the server would no longer see that two expressions are the
  /// same.
  bool all_or_none_failed = false;

  void miss(std::string_view flag);
};

class SourceFinder {
 public:
  /// The catalogue may be null. All of it must outlive the object.
  SourceFinder(const TokenList& tokens, const RewriteCatalogue* catalogue, RewriteClasses classes)
      : tokens_(tokens), catalogue_(catalogue), classes_(classes) {}

  /// `once`: the expression is evaluated at most once for each execution of the text.
  void walk(const ProtobufCMessage& root, bool once = false);
  FoundSources finish() { return std::move(found_); }

 private:
  struct Entry {
    const ProtobufCMessage* message;
    bool once;
  };

  void visit(const Entry& entry);
  void push_children(const Entry& entry);
  void push_field(const ProtobufCMessage& message, const ProtobufCFieldDescriptor& field, bool once);
  void push_insert(const PgQuery__InsertStmt& insert);
  void forget_names(const PgQuery__SelectStmt& source);

  void visit_select(const PgQuery__SelectStmt& select);
  void visit_target(const PgQuery__ResTarget& target);
  void visit_range_function(const PgQuery__RangeFunction& range);
  void visit_call(const PgQuery__FuncCall& call, bool once);
  void visit_large_object(const PgQuery__FuncCall& call, std::size_t first, std::size_t last);
  void visit_value_function(const PgQuery__SQLValueFunction& function);
  void visit_cast(const PgQuery__TypeCast& cast);
  void visit_constant(const PgQuery__AConst& constant);

  bool wanted(const Source& source, bool once) const;
  void replace_call(const void* node, std::size_t first, std::size_t last,
                    std::vector<ReplacementPart> parts);

  /// The column of a result that is named after a call.
  struct ColumnName {
    std::string_view name;
    bool is_whole_target;
  };

  const TokenList& tokens_;
  const RewriteCatalogue* catalogue_;
  RewriteClasses classes_;
  FoundSources found_;
  std::vector<Entry> stack_;
  std::unordered_map<const void*, ColumnName> column_names_;
  std::unordered_set<const void*> compared_targets_;  ///< GROUP BY or ORDER BY may have the same expression
  std::unordered_set<const void*> unseen_targets_;    ///< an INSERT's: nobody sees their names
  std::unordered_set<const void*> range_functions_;   ///< calls in FROM: no expression may stand there
  std::unordered_set<const void*> cast_constants_;    ///< with a type written beside them
  const void* only_call_ = nullptr;                   ///< all that a SELECT of one row does
};

/// CURRENT_DATE and the like as PostgreSQL names a column after it; empty for those that are no times.
std::string_view name_of_time_function(PgQuery__SQLValueFunctionOp op);

}  // namespace pgtandem
