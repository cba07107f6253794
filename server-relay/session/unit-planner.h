/// Looks at a unit before it is sent (discipline `serial`) and says what it is for the gate: reads the
/// frontend's messages, has their statements classified, and remembers prepared statements, portals and
/// cursors by name. Pure; one per session.
///
/// PostgreSQL manual, "Message Flow": "Simple Query", "Extended Query", "Pipelining". Statements of PREPARE
/// and of Parse share one name space, so do cursors and portals ("Extended Query", PREPARE, DECLARE).
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/protocol/message-splitter.h"
#include "server-relay/statements/statement.h"

namespace pgtandem {

/// What the gate has to know about a statement, without its text.
struct UnitStatement {
  /// `copy_in` is also what continues a portal that writes: it cannot be tried again either.
  StatementKind kind = StatementKind::write;
  bool refuses_block = false;
  bool needs_block = false;
  bool may_use_sequences = true;
  bool names_settings = false;
  bool names_isolation = false;
  bool names_serializable = false;  ///< the text says so
  bool changes_catalogue = false;
  bool shared_objects = false;
  bool calls_code = false;               ///< one CALL or DO
  bool row_local = false;                ///< needs no order among others of its sort
  RowOrder row_order = RowOrder::tried;  ///< what it needs instead, where it is row-local
  bool names_another = false;  ///< EXECUTE or FETCH: what it runs is told by a name when it is bound
  std::uint64_t row_key = 0;   ///< a guess at the rows that it locks (row_key()); 0: none
  /// Of a prepared statement, from which Bind makes the key; may be null.
  std::shared_ptr<const RowTarget> rows = nullptr;
  /// Flags and all else, where the unit is one statement with a text of its own; may be null.
  std::shared_ptr<const Statement> facts = nullptr;
  /// Of the catalogue by which it was judged.
  std::uint64_t catalogue_version = 0;
  /// Of a prepared statement whose judgement may change with the catalogue; may be null.
  std::shared_ptr<const std::string> parse_body = nullptr;

  bool calls_random() const;
};

struct UnitPlan {
  enum class Completeness {
    incomplete,  ///< more input is needed to say anything
    whole,       ///< `size` bytes, up to the message that the backend answers with ReadyForQuery
    open,        ///< the frontend flushes and waits in the middle of an extended unit
  };
  Completeness completeness = Completeness::incomplete;
  std::size_t size = 0;
  bool extended = false;
  std::size_t executes = 0;
  bool in_parts = false;              ///< an Execute asks for so many rows at most
  std::vector<std::string> prepares;  ///< names that its Parse messages give
  UnitStatement statement;            ///< the one it runs; of several, what holds for all of them together
};

class UnitPlanner {
 public:
  /// Asks for texts to be classified by the catalogue as it is now.
  class Classifier {
   public:
    virtual ~Classifier() = default;
    virtual std::shared_ptr<const Statement> classify(std::string_view text) = 0;
    /// Of the catalogue that the last text was classified by; 0, which is no catalogue's, where that was
    /// none.
    virtual std::uint64_t version() const = 0;
    /// Of the catalogue as it is now; 0 while this session must not believe it.
    virtual std::uint64_t current_version() const = 0;
  };
  /// `classifier` outlives the planner.
  explicit UnitPlanner(Classifier& classifier) : classifier_(classifier) {}

  /// `input` begins where a unit begins. Once its answer is not `incomplete`, the messages count as sent.
  UnitPlan plan(ByteSpan input);
  /// An Execute in the middle of a unit that was judged open: what it runs.
  UnitStatement executed(ByteSpan execute_body) const;
  /// The other messages of such a unit: remembers Parse, Bind and Close.
  void note(char type, ByteSpan body);
  /// The unit failed: what it prepared, declared, bound or closed may be there or not.
  void on_error();
  /// The transaction is over: its portals and cursors are gone, except those WITH HOLD, which stay unproven.
  void on_transaction_end() { portals_.clear(); }
  /// A Parse or Bind went by that is too long to be kept: any name may stand for something else now.
  void forget() {
    statements_.clear();
    portals_.clear();
  }

 private:
  static bool is_one_query(ByteSpan input, UnitPlan& plan);
  static bool find_end(ByteSpan input, UnitPlan& plan);
  void add(const MessagePiece& piece, UnitPlan& plan);
  UnitStatement of_text(std::string_view text);
  void note_parse(ByteSpan body);
  void note_bind(ByteSpan body);
  void note_close(ByteSpan body);
  void remember_statement(const std::string& name, UnitStatement statement);
  void remember_portal(const std::string& name, UnitStatement statement);
  void note_names(const Statement& statement, std::string_view text);
  UnitStatement executed_by_name(const Statement& execute);
  UnitStatement of_parse(std::string_view rest);
  UnitStatement prepared(const std::string& name);
  UnitStatement portal(const std::string& name) const;
  UnitStatement executed_in_unit(ByteSpan body) const;
  UnitStatement fetched(const std::string& name) const;

  Classifier& classifier_;
  std::map<std::string, UnitStatement, std::less<>> statements_;
  std::map<std::string, UnitStatement, std::less<>> portals_;
  // Names that the unit under way gives or takes away, of statements and of portals.
  std::vector<std::string> touched_;
  std::vector<std::string> touched_portals_;
};

}  // namespace pgtandem
