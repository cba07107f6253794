/// Knows where a frontend's units begin and end (hard point 4), so that the next unit is sent only when the
/// one before is decided. Pure. PostgreSQL manual, "Message Flow": "Simple Query", "Extended Query", "COPY
/// Operations".
#pragma once
#include <string>

#include "common/protocol/message-splitter.h"

namespace pgtandem {

class RequestTracker {
 public:
  enum class Phase {
    between,  ///< no unit is under way; the next message begins one
    sending,  ///< an extended unit whose Sync has not come
    sent,     ///< complete; the backend owes a ReadyForQuery
    copying,  ///< the backend takes COPY data: what comes belongs to the unit under way
  };
  enum class Verdict {
    forward,  ///< belongs to the unit under way, or begins one (see unit_began)
    hold,     ///< begins a unit, but the one before is not decided
    leave,    ///< Terminate, at a place where it may be obeyed
  };

  /// Judges a piece before it is sent. A held piece must be shown again.
  Verdict judge(const MessagePiece& piece);
  /// True once after the verdict that began a unit.
  bool take_unit_began();
  /// The backend announced that it takes COPY data (CopyInResponse, CopyBothResponse).
  void on_copy_in();
  /// The unit is decided: its ReadyForQuery went to the frontend.
  void on_decided();

  Phase phase() const { return phase_; }
  /// The beginning of the text that the unit runs (the first Query or Parse in it), for the divergence log.
  const std::string& statement() const { return statement_; }
  /// The unit's only statement begins with a word that reads.
  bool statement_reads() const { return statement_reads_; }

 private:
  void begin(const MessagePiece& piece);
  void remember_statement(const MessagePiece& piece);
  Verdict judge_while_copying(const MessagePiece& piece);

  Phase phase_ = Phase::between;
  bool extended_ = false;  ///< the unit ends with Sync
  bool began_ = false;
  std::string statement_;
  bool statement_seen_ = false;
  bool statement_reads_ = false;
};

/// Does this text consist of one statement that begins with SELECT, SHOW, EXPLAIN, FETCH, VALUES or TABLE?
/// Comments and parentheses before the word are skipped; a text that may hold a second statement does not.
bool begins_with_reading_word(std::string_view text);

}  // namespace pgtandem
