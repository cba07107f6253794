/// Walks every node of a parse tree, whatever its type, and gathers what it says about reading, writing and
/// what the two servers may see differently.
#pragma once
#include <string_view>
#include <vector>

#include "server-relay/statements/parse-tree.h"
#include "server-relay/statements/statement-catalogue.h"

namespace pgtandem {

struct TreeFacts {
  bool unproven = false;         ///< names something that the catalogue does not prove to be harmless
  bool writes = false;           ///< INSERT, UPDATE, DELETE, MERGE, a locking clause or INTO, at any depth
  bool makes_relation = false;   ///< INTO
  bool changes_session = false;  ///< calls set_config or setseed
  bool may_use_sequences = false;
  bool parameters = false;
  bool names_settings = false;
  bool names_isolation = false;
  bool advisory_locks = false;
  bool large_objects = false;
  std::vector<std::string_view> flags;  ///< each once
};

class TreeWalker {
 public:
  /// Null: nothing is known. The catalogue must outlive the object.
  explicit TreeWalker(const StatementCatalogue* catalogue) : catalogue_(catalogue) {}

  /// May be called for several trees; their facts add up. They must outlive finish().
  void walk(const ProtobufCMessage& root);
  TreeFacts finish();

 private:
  struct Entry {
    const ProtobufCMessage* message;
    bool own_parameters;  ///< within PREPARE or a function's body: $n is not the text's
  };
  using Visit = void (TreeWalker::*)(const ProtobufCMessage&);
  struct Visits;

  void push_children(const Entry& entry);
  void push_field(const ProtobufCMessage& message, const ProtobufCFieldDescriptor& field,
                  bool own_parameters);
  void visit(const Entry& entry);

  void visit_select(const ProtobufCMessage& message);
  void visit_insert(const ProtobufCMessage& message);
  void visit_update(const ProtobufCMessage& message);
  void visit_delete(const ProtobufCMessage& message);
  void visit_merge(const ProtobufCMessage& message);
  void visit_locking(const ProtobufCMessage& message);
  void visit_into(const ProtobufCMessage& message);
  void visit_range_var(const ProtobufCMessage& message);
  void visit_table_sample(const ProtobufCMessage& message);
  void visit_cte(const ProtobufCMessage& message);
  void visit_function(const ProtobufCMessage& message);
  void visit_expression(const ProtobufCMessage& message);
  void visit_sub_link(const ProtobufCMessage& message);
  void visit_sort(const ProtobufCMessage& message);
  void visit_column(const ProtobufCMessage& message);
  void visit_indirection(const ProtobufCMessage& message);
  void visit_cast(const ProtobufCMessage& message);
  void visit_type(const ProtobufCMessage& message);
  void visit_value_function(const ProtobufCMessage& message);
  void visit_default(const ProtobufCMessage& message);
  void visit_set(const ProtobufCMessage& message);
  void visit_show(const ProtobufCMessage& message);
  void visit_option(const ProtobufCMessage& message);

  void look_at_setting(const PgQuery__FuncCall& call, std::string_view name);
  void look_at_order(const PgQuery__FuncCall& call, std::string_view name);
  void need_operator(PgQuery__Node* const* parts, std::size_t count);
  void need_operator(std::string_view schema, std::string_view name);
  void need_attribute(std::string_view name);
  void target(const PgQuery__RangeVar* relation);
  void judge_relations();
  void flag(std::string_view text);

  const StatementCatalogue* catalogue_;
  TreeFacts facts_;
  std::vector<Entry> stack_;
  std::vector<std::string_view> cte_names_;
  std::vector<QualifiedName> relations_;
};

/// What naming the setting `name` in SET, RESET or set_config means.
bool is_watched_setting(std::string_view name);
bool is_isolation_setting(std::string_view name);

}  // namespace pgtandem
