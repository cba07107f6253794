#include "server-relay/session/request-tracker.h"

#include <array>

namespace pgtandem {
namespace {

constexpr std::size_t kStatementKept =
    1000;  ///< bytes: enough to recognise a statement in the divergence log

bool is_copy_message(char type) {
  return type == 'd' || type == 'c' || type == 'f';
}

/// Skips white space, comments and opening parentheses.
std::string_view skip_to_word(std::string_view text) {
  while (!text.empty()) {
    if (text.starts_with("--")) {
      const std::size_t end = text.find('\n');
      text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    } else if (text.starts_with("/*")) {
      const std::size_t end = text.find("*/", 2);
      text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 2);
    } else if (text.front() == ' ' || text.front() == '\t' || text.front() == '\n' || text.front() == '\r' ||
               text.front() == '(') {
      text.remove_prefix(1);
    } else {
      break;
    }
  }
  return text;
}

bool begins_with(std::string_view text, std::string_view upper_case_word) {
  if (text.size() < upper_case_word.size()) return false;
  for (std::size_t i = 0; i < upper_case_word.size(); ++i) {
    const char c = text[i] >= 'a' && text[i] <= 'z' ? char(text[i] - 'a' + 'A') : text[i];
    if (c != upper_case_word[i]) return false;
  }
  const char next = text.size() > upper_case_word.size() ? text[upper_case_word.size()] : ' ';
  return !(next == '_' || (next >= '0' && next <= '9') || (next >= 'a' && next <= 'z') ||
           (next >= 'A' && next <= 'Z'));
}

}  // namespace

bool begins_with_reading_word(std::string_view text) {
  const std::size_t semicolon = text.find(';');
  if (semicolon != std::string_view::npos &&
      text.find_first_not_of("; \t\r\n", semicolon) != std::string_view::npos) {
    return false;
  }
  text = skip_to_word(text);
  static constexpr std::array kWords = {"SELECT", "SHOW", "EXPLAIN", "FETCH", "VALUES", "TABLE"};
  for (const std::string_view word : kWords) {
    if (begins_with(text, word)) return true;
  }
  return false;
}

RequestTracker::Verdict RequestTracker::judge(const MessagePiece& piece) {
  if (!piece.first) return Verdict::forward;  // a message goes where its beginning went
  if (phase_ == Phase::copying) return judge_while_copying(piece);
  if (phase_ == Phase::sent) return Verdict::hold;
  if (piece.type == 'X') return Verdict::leave;
  if (phase_ == Phase::between) {
    // COPY messages that come after the backend gave the COPY up are ignored by it, and answered by nothing.
    if (is_copy_message(piece.type)) return Verdict::forward;
    begin(piece);
  }
  if (piece.type == 'Q' || piece.type == 'P') remember_statement(piece);
  if (piece.type == 'Q' || piece.type == 'F' || piece.type == 'S') phase_ = Phase::sent;
  extended_ = piece.type != 'Q' && piece.type != 'F';
  return Verdict::forward;
}

void RequestTracker::begin(const MessagePiece& piece) {
  phase_ = Phase::sending;
  extended_ = piece.type != 'Q' && piece.type != 'F';
  began_ = true;
  statement_seen_ = false;
  statement_reads_ = false;
  statement_.clear();
}

void RequestTracker::remember_statement(const MessagePiece& piece) {
  std::string_view text = as_text(piece.body);
  if (piece.type == 'P') {
    const std::size_t name_end = text.find('\0');
    text = name_end == std::string_view::npos ? std::string_view{} : text.substr(name_end + 1);
  }
  text = text.substr(0, text.find('\0'));
  statement_reads_ = !statement_seen_ && piece.last && begins_with_reading_word(text);
  if (!statement_seen_) statement_.assign(text.substr(0, kStatementKept));
  statement_seen_ = true;
}

/// Flush and Sync are ignored by a backend that takes COPY data, everything else ends the COPY ("COPY
/// Operations"). All of it is passed on as it is: should the backend have given up in the meantime, it reads
/// these messages as any others, and its ReadyForQuery tells.
RequestTracker::Verdict RequestTracker::judge_while_copying(const MessagePiece& piece) {
  if (piece.type == 'X') return Verdict::leave;
  if (piece.type != 'd' && piece.type != 'H' && piece.type != 'S')
    phase_ = extended_ ? Phase::sending : Phase::sent;
  return Verdict::forward;
}

bool RequestTracker::take_unit_began() {
  const bool began = began_;
  began_ = false;
  return began;
}

void RequestTracker::on_copy_in() {
  if (phase_ == Phase::sending || phase_ == Phase::sent) phase_ = Phase::copying;
}

void RequestTracker::on_decided() {
  phase_ = Phase::between;
}

}  // namespace pgtandem
