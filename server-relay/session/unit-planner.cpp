#include "server-relay/session/unit-planner.h"

#include <algorithm>

namespace pgtandem {
namespace {

/// More names than any driver prepares; beyond them statements are unproven, so writes.
constexpr std::size_t kMaxNames = 4096;

std::string_view up_to_zero(std::string_view text) {
  return text.substr(0, text.find('\0'));
}

bool says(std::string_view text, std::string_view lower_case_word) {
  const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? char(a + 32) : a) == b; };
  return std::search(text.begin(), text.end(), lower_case_word.begin(), lower_case_word.end(), same) !=
         text.end();
}

/// Or a text that hides its beginning behind a comment.
bool begins_with_call(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n;");
  if (begin == std::string_view::npos) return false;
  const std::string_view word = text.substr(begin, 4);
  return says(word, "call") || says(word.substr(0, 2), "do") || word.starts_with("--") ||
         word.starts_with("/*");
}

/// What holds for several statements that are sent together.
UnitStatement both(const UnitStatement& a, const UnitStatement& b) {
  const auto harmless = [](const UnitStatement& s) {
    return s.kind == StatementKind::read || s.kind == StatementKind::session ||
           s.kind == StatementKind::empty;
  };
  UnitStatement sum = a;
  sum.kind = harmless(a) && harmless(b) ? StatementKind::read : StatementKind::opaque;
  sum.refuses_block = a.refuses_block || b.refuses_block;
  sum.needs_block = false;
  sum.may_use_sequences = a.may_use_sequences || b.may_use_sequences;
  sum.names_settings = a.names_settings || b.names_settings;
  sum.names_isolation = a.names_isolation || b.names_isolation;
  sum.names_serializable = a.names_serializable || b.names_serializable;
  sum.changes_catalogue = a.changes_catalogue || b.changes_catalogue;
  sum.shared_objects = a.shared_objects || b.shared_objects;
  sum.calls_code = a.calls_code || b.calls_code;
  return sum;
}

UnitStatement harmless_unit() {
  UnitStatement statement;
  statement.kind = StatementKind::session;
  statement.may_use_sequences = false;
  return statement;
}

}  // namespace

UnitPlan UnitPlanner::plan(ByteSpan input) {
  // Two passes: only what is going to be sent may be remembered.
  MessageSplitter splitter(input.size() + 1);
  UnitPlan plan;
  ByteSpan rest = input;
  while (plan.completeness == UnitPlan::Completeness::incomplete) {
    const std::optional<MessagePiece> piece = splitter.next(rest);
    if (!piece || !piece->whole()) break;
    const std::size_t end = input.size() - rest.size();
    const bool simple = piece->type == 'Q' || piece->type == 'F';
    const bool extended = piece->type == 'P' || piece->type == 'B' || piece->type == 'D' ||
                          piece->type == 'E' || piece->type == 'C' || piece->type == 'H' ||
                          piece->type == 'S';
    plan.extended = plan.extended || !simple;
    plan.size = end;
    // Terminate, strays of a COPY and nonsense are the server's business.
    if (simple || piece->type == 'S' || !extended) plan.completeness = UnitPlan::Completeness::whole;
  }
  if (splitter.broken()) plan.completeness = UnitPlan::Completeness::whole;
  bool flushed = false;
  MessageSplitter again(input.size() + 1);
  if (plan.completeness == UnitPlan::Completeness::incomplete) {
    // Nothing more will come if the frontend waits for what it has flushed.
    ByteSpan messages = input.first(plan.size);
    while (const std::optional<MessagePiece> piece = again.next(messages)) flushed = piece->type == 'H';
    if (!flushed || plan.size != input.size()) return plan;
    plan.completeness = UnitPlan::Completeness::open;
  }
  touched_.clear();
  plan.statement = harmless_unit();
  MessageSplitter reading(input.size() + 1);
  ByteSpan messages = input.first(plan.size);
  while (const std::optional<MessagePiece> piece = reading.next(messages)) {
    UnitStatement one;
    if (piece->type == 'Q') {
      one = of_text(up_to_zero(as_text(piece->body)));
    } else if (piece->type == 'F') {
      one.kind = StatementKind::opaque;
    } else if (piece->type == 'E') {
      one = executed(piece->body);
    } else {
      note(piece->type, piece->body);
      if (piece->type == 'P' && !piece->body.empty() && char(piece->body[0]) != 0)
        plan.prepares.emplace_back(up_to_zero(as_text(piece->body)));
      continue;
    }
    ++plan.executes;
    plan.statement = plan.executes == 1 ? one : both(plan.statement, one);
  }
  return plan;
}

UnitStatement UnitPlanner::of_text(std::string_view text) {
  const Statement statement = classify_(text);
  UnitStatement summary;
  summary.kind = statement.kind;
  summary.refuses_block = statement.refuses_block;
  summary.needs_block = statement.needs_block;
  summary.may_use_sequences = statement.may_use_sequences;
  summary.names_settings = statement.names_settings;
  summary.names_isolation = statement.names_isolation;
  summary.names_serializable = statement.names_isolation && says(text, "serializable");
  summary.changes_catalogue = statement.changes_catalogue;
  summary.shared_objects = statement.shared_objects;
  summary.calls_code = statement.kind == StatementKind::opaque && begins_with_call(text);
  switch (statement.kind) {
    case StatementKind::execute:
      summary = prepared(statement.name);
      break;
    case StatementKind::fetch:
      summary = portal(statement.name);
      break;
    case StatementKind::cursor: {
      summary.kind = statement.inner_reads ? StatementKind::read : StatementKind::write;
      UnitStatement fetched = harmless_unit();
      fetched.kind = summary.kind;
      if (portals_.size() < kMaxNames) portals_.insert_or_assign(statement.name, fetched);
      break;
    }
    case StatementKind::session:
      if (statement.name.empty() || !says(text, "prepare")) break;
      if (says(text, "deallocate")) break;
      if (statements_.size() < kMaxNames) {
        UnitStatement inner = harmless_unit();
        inner.kind = statement.inner_reads ? StatementKind::read : StatementKind::write;
        inner.may_use_sequences = !statement.inner_reads;
        statements_.insert_or_assign(statement.name, inner);
        touched_.push_back(statement.name);
      }
      break;
    default:
      break;
  }
  return summary;
}

void UnitPlanner::note(char type, ByteSpan body) {
  if (type == 'P') note_parse(body);
  if (type == 'B') note_bind(body);
}

void UnitPlanner::note_parse(ByteSpan body) {
  const std::string_view text = as_text(body);
  const std::string name(up_to_zero(text));
  if (name.size() >= text.size()) return;  // the server will say what is wrong
  UnitStatement statement = of_text(up_to_zero(text.substr(name.size() + 1)));
  const auto known = statements_.find(name);
  // A second Parse of a name that exists fails, and the first statement stays.
  if (!name.empty() && known != statements_.end() && known->second.kind != statement.kind)
    statement.kind = StatementKind::opaque;
  if (known == statements_.end() && statements_.size() >= kMaxNames) return;
  statements_.insert_or_assign(name, statement);
  touched_.push_back(name);
}

void UnitPlanner::note_bind(ByteSpan body) {
  const std::string_view text = as_text(body);
  const std::string name(up_to_zero(text));
  if (name.size() >= text.size()) return;
  const std::string of(up_to_zero(text.substr(name.size() + 1)));
  if (portals_.size() >= kMaxNames && !portals_.contains(name)) return;
  portals_.insert_or_assign(name, prepared(of));
}

UnitStatement UnitPlanner::executed(ByteSpan execute_body) const {
  return portal(std::string(up_to_zero(as_text(execute_body))));
}

UnitStatement UnitPlanner::prepared(const std::string& name) const {
  const auto it = statements_.find(name);
  return it != statements_.end() ? it->second : UnitStatement{};
}

UnitStatement UnitPlanner::portal(const std::string& name) const {
  const auto it = portals_.find(name);
  return it != portals_.end() ? it->second : UnitStatement{};
}

void UnitPlanner::on_error() {
  for (const std::string& name : touched_) {
    const auto it = statements_.find(name);
    if (it != statements_.end()) it->second = UnitStatement{.kind = StatementKind::opaque};
  }
  touched_.clear();
}

}  // namespace pgtandem
