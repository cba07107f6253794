#include "server-relay/session/unit-planner.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "common/base/bytes.h"
#include "server-relay/replies/reply-reader.h"
#include "server-relay/statements/row-target.h"
#include "server-relay/statements/sql-lexer.h"

namespace pgtandem {
namespace {

/// The server cuts longer names of statements and portals (NAMEDATALEN - 1).
constexpr std::size_t kMaxNameSize = 63;
/// More names than any driver prepares; beyond them nothing is known of a statement.
constexpr std::size_t kMaxNames = 4096;
/// Bytes of a prepared statement that is judged again when the catalogue has changed; a longer one is a write
/// from then on.
constexpr std::size_t kMaxKeptParse = 16384;

std::string_view up_to_zero(std::string_view text) {
  return text.substr(0, text.find('\0'));
}

std::string name_in(std::string_view text) {
  return std::string(up_to_zero(text).substr(0, kMaxNameSize));
}

bool says(std::string_view text, std::string_view lower_case_word) {
  const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? char(a + 32) : a) == b; };
  return std::search(text.begin(), text.end(), lower_case_word.begin(), lower_case_word.end(), same) !=
         text.end();
}

std::string_view without_blanks(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(" \t\r\n;"), text.size()));
}

/// Or a text that hides its beginning behind a comment.
bool begins_with_call(std::string_view text) {
  const std::string_view word = without_blanks(text).substr(0, 4);
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
  sum.row_local = false;
  sum.row_key = 0;
  sum.rows = nullptr;
  sum.facts = nullptr;
  return sum;
}

std::optional<std::string_view> no_parameter(std::size_t) {
  return std::nullopt;
}

/// For a text that will not be at hand when the statement is bound.
std::shared_ptr<const RowTarget> with_numbers_of(std::string_view text, const RowTarget& target) {
  auto fixed = std::make_shared<RowTarget>(target);
  fix_numbers(*fixed, text);
  return fixed;
}

/// Oids of types whose values are equal to no two keys (row-local.cpp has their names); 0 and 705 (unknown)
/// leave the type to the statement.
bool fits_any_key(std::uint32_t type) {
  static constexpr std::array<std::uint32_t, 13> kTypes{0,   16,   17,   20,   21,   23,  25,
                                                        705, 1043, 1082, 1114, 1700, 2950};
  return std::ranges::find(kTypes, type) != kTypes.end();
}

/// Is $index compared with a column, or may it be?
bool is_compared(const RowTarget& target, std::size_t index) {
  return target.terms.size() >= RowTarget::kMostTerms ||
         std::ranges::any_of(target.terms, [index](const RowTarget::Term& term) {
           return term.source == RowTarget::Term::Source::parameter && term.index == index;
         });
}

/// The end of a Parse, from the zero behind its text on: count:int16 {oid:int32}*. Types of users may do
/// anything, some others compare in another way than the key does.
bool declares_plain_types(std::string_view rest, const RowTarget& target) {
  ByteReader reader(as_bytes(rest));
  (void)reader.take(1);
  const std::uint16_t count = reader.u16();
  for (std::uint16_t i = 0; i < count; ++i) {
    const std::uint32_t type = reader.u32();
    if (type >= kFirstUserOid || (is_compared(target, i) && !fits_any_key(type))) return false;
  }
  return !reader.failed();
}

/// The parameters' values in a Bind, from behind its two names on: formats:int16 {format:int16}*
/// values:int16 {length:int32 value}* ("Message Formats"). What breaks off has no value.
class BindValues {
 public:
  explicit BindValues(ByteSpan rest) : rest_(rest) {}

  std::optional<std::string_view> value(std::size_t index) const {
    ByteReader reader(rest_);
    const std::uint16_t formats = reader.u16();
    (void)reader.take(std::size_t(formats) * 2);
    const std::uint16_t count = reader.u16();
    for (std::size_t i = 0; i < count && !reader.failed(); ++i) {
      const std::uint32_t length = reader.u32();
      const bool null = length == 0xFFFFFFFF;
      const ByteSpan bytes = null ? ByteSpan{} : reader.take(length);
      if (i == index) return null || reader.failed() ? std::nullopt : std::optional(as_text(bytes));
    }
    return std::nullopt;
  }

 private:
  ByteSpan rest_;
};

/// Of something that is not known: it may be a COMMIT.
UnitStatement unknown_unit() {
  UnitStatement statement;
  statement.kind = StatementKind::opaque;
  return statement;
}

/// A portal that has begun to run: after an error it cannot be run again, so that what may meet a lock is
/// never an attempt. Like COPY FROM STDIN, which commits nothing inside.
UnitStatement continued(UnitStatement statement) {
  if (statement.kind == StatementKind::write) statement.kind = StatementKind::copy_in;
  if (statement.kind == StatementKind::ddl) statement.kind = StatementKind::opaque;
  statement.row_local = false;
  statement.row_key = 0;
  statement.rows = nullptr;
  return statement;
}

/// Execute: portal most_rows:int32 ("Message Formats").
bool limits_rows(ByteSpan execute_body) {
  ByteReader reader(execute_body);
  (void)reader.take(std::min(execute_body.size(), up_to_zero(as_text(execute_body)).size() + 1));
  return reader.u32() != 0 || reader.failed();
}

UnitStatement harmless_unit() {
  UnitStatement statement;
  statement.kind = StatementKind::session;
  statement.may_use_sequences = false;
  return statement;
}

}  // namespace

bool UnitStatement::calls_random() const {
  return facts != nullptr && std::ranges::find(facts->flags, "random") != facts->flags.end();
}

/// Query alone: by far the most common unit of the simple protocol.
bool UnitPlanner::is_one_query(ByteSpan input, UnitPlan& plan) {
  if (input.empty() || (input[0] != std::byte('Q') && input[0] != std::byte('F'))) return false;
  MessageSplitter splitter(input.size() + 1);
  ByteSpan rest = input;
  const std::optional<MessagePiece> piece = splitter.next(rest);
  plan.size = input.size() - rest.size();
  const bool whole = splitter.broken() || (piece && piece->whole());
  if (whole) plan.completeness = UnitPlan::Completeness::whole;
  return true;
}

/// Where the unit ends. True: enough of it is there to be judged.
bool UnitPlanner::find_end(ByteSpan input, UnitPlan& plan) {
  if (is_one_query(input, plan)) return plan.completeness == UnitPlan::Completeness::whole;
  MessageSplitter splitter(input.size() + 1);
  ByteSpan rest = input;
  char last = 0;
  while (plan.completeness == UnitPlan::Completeness::incomplete) {
    const std::optional<MessagePiece> piece = splitter.next(rest);
    if (!piece || !piece->whole()) break;
    last = piece->type;
    const bool extended =
        last == 'P' || last == 'B' || last == 'D' || last == 'E' || last == 'C' || last == 'H';
    plan.extended = plan.extended || (last != 'Q' && last != 'F');
    plan.size = input.size() - rest.size();
    // Terminate, strays of a COPY and nonsense are the server's business.
    if (!extended) plan.completeness = UnitPlan::Completeness::whole;
  }
  if (splitter.broken()) plan.completeness = UnitPlan::Completeness::whole;
  // Nothing more will come if the frontend waits for what it has flushed.
  if (plan.completeness == UnitPlan::Completeness::incomplete && last == 'H' && plan.size == input.size())
    plan.completeness = UnitPlan::Completeness::open;
  return plan.completeness != UnitPlan::Completeness::incomplete;
}

UnitPlan UnitPlanner::plan(ByteSpan input) {
  UnitPlan plan;
  // Only what is going to be sent may be remembered, so its end is looked for first.
  if (!find_end(input, plan)) return plan;
  touched_.clear();
  touched_portals_.clear();
  plan.statement = harmless_unit();
  MessageSplitter reading(input.size() + 1);
  ByteSpan messages = input.first(plan.size);
  while (const std::optional<MessagePiece> piece = reading.next(messages)) add(*piece, plan);
  return plan;
}

void UnitPlanner::add(const MessagePiece& piece, UnitPlan& plan) {
  UnitStatement one;
  if (piece.type == 'Q') {
    const std::string_view text = up_to_zero(as_text(piece.body));
    one = of_text(text);
    if (one.facts != nullptr) one.row_key = row_key(one.facts->row_target, text, no_parameter);
  } else if (piece.type == 'F') {
    one.kind = StatementKind::opaque;
  } else if (piece.type == 'E') {
    one = executed_in_unit(piece.body);
    plan.in_parts = plan.in_parts || limits_rows(piece.body);
  } else {
    note(piece.type, piece.body);
    if (piece.type == 'P' && !piece.body.empty() && char(piece.body[0]) != 0)
      plan.prepares.emplace_back(up_to_zero(as_text(piece.body)));
    return;
  }
  ++plan.executes;
  plan.statement = plan.executes == 1 ? one : both(plan.statement, one);
}

UnitStatement UnitPlanner::of_text(std::string_view text) {
  std::shared_ptr<const Statement> facts = classifier_.classify(text);
  const Statement& statement = *facts;
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
  summary.row_local = statement.row_local;
  summary.row_order = statement.row_order;
  summary.catalogue_version = classifier_.version();
  summary.calls_code = statement.kind == StatementKind::opaque && begins_with_call(text);
  switch (statement.kind) {
    case StatementKind::execute:
      summary = executed_by_name(statement);
      break;
    case StatementKind::fetch:
      summary = fetched(statement.name);
      break;
    case StatementKind::cursor: {
      summary.kind = statement.inner_reads ? StatementKind::read : StatementKind::write;
      UnitStatement cursor = harmless_unit();
      cursor.kind = summary.kind;
      cursor.may_use_sequences = !statement.inner_reads;
      remember_portal(statement.name, std::move(cursor));
      break;
    }
    case StatementKind::session:
      note_names(statement, text);
      break;
    case StatementKind::opaque:
      // Several statements, or code, may give a name that is known to something else.
      if (says(text, "prepare") && (says(text, "deallocate") || says(text, "discard"))) statements_.clear();
      if (says(text, "declare")) portals_.clear();
      break;
    default:
      break;
  }
  summary.names_another = statement.kind == StatementKind::execute || statement.kind == StatementKind::fetch;
  if (!summary.names_another) summary.facts = std::move(facts);
  return summary;
}

/// FETCH and MOVE. A name that is not known may be of a cursor WITH HOLD, or of a function's making.
UnitStatement UnitPlanner::fetched(const std::string& name) const {
  return portals_.contains(name) ? continued(portal(name)) : UnitStatement{};
}

/// PREPARE, DEALLOCATE, CLOSE, DISCARD.
void UnitPlanner::note_names(const Statement& statement, std::string_view text) {
  SqlLexer lexer(text);
  SqlToken first = lexer.next();
  while (first.text == ";") first = lexer.next();
  const std::string_view command = first.text;
  const std::string& name = statement.name;
  if (equals_folded(command, "discard")) {
    if (!equals_folded(lexer.next().text, "all")) return;
    statements_.clear();
    portals_.clear();
  } else if (equals_folded(command, "deallocate")) {
    if (name.empty()) statements_.clear();
    statements_.erase(name);
    touched_.push_back(name);
  } else if (equals_folded(command, "close")) {
    if (name.empty()) portals_.clear();
    portals_.erase(name);
    touched_portals_.push_back(name);
  } else if (equals_folded(command, "prepare")) {
    UnitStatement inner = harmless_unit();
    inner.kind = statement.inner_reads ? StatementKind::read : StatementKind::write;
    inner.may_use_sequences = !statement.inner_reads;
    inner.names_settings = statement.names_settings;
    inner.names_isolation = statement.names_isolation;
    inner.catalogue_version = classifier_.version();
    remember_statement(name, std::move(inner));
  }
}

/// EXECUTE: its parameters are expressions, evaluated before.
UnitStatement UnitPlanner::executed_by_name(const Statement& execute) {
  UnitStatement statement = prepared(execute.name);
  if (!execute.inner_reads) {
    if (statement.kind == StatementKind::read) statement.kind = StatementKind::write;
    statement.may_use_sequences = true;
  }
  statement.names_settings = statement.names_settings || execute.names_settings;
  statement.row_local = false;
  statement.rows = nullptr;
  return statement;
}

/// A second statement of a name that exists fails, and the first one stays.
void UnitPlanner::remember_statement(const std::string& name, UnitStatement statement) {
  touched_.push_back(name);
  const auto known = statements_.find(name);
  if (known == statements_.end() && !name.empty() && statements_.size() >= kMaxNames) return;
  if (!name.empty() && known != statements_.end() && known->second.kind != statement.kind)
    statement = unknown_unit();
  statements_.insert_or_assign(name, std::move(statement));
}

/// As above. What failed need not be the end of the transaction: there are savepoints.
void UnitPlanner::remember_portal(const std::string& name, UnitStatement statement) {
  touched_portals_.push_back(name);
  const auto known = portals_.find(name);
  if (known == portals_.end() && !name.empty() && portals_.size() >= kMaxNames) return;
  if (!name.empty() && known != portals_.end() && known->second.kind != statement.kind)
    statement = unknown_unit();
  portals_.insert_or_assign(name, std::move(statement));
}

void UnitPlanner::note(char type, ByteSpan body) {
  if (type == 'P') note_parse(body);
  if (type == 'B') note_bind(body);
  if (type == 'C') note_close(body);
}

void UnitPlanner::note_parse(ByteSpan body) {
  const std::string_view text = as_text(body);
  const std::size_t end = up_to_zero(text).size();
  if (end >= text.size()) return;  // the server will say what is wrong
  remember_statement(name_in(text), of_parse(text.substr(end + 1)));
}

/// 'S' or 'P', and the name.
void UnitPlanner::note_close(ByteSpan body) {
  const std::string_view text = as_text(body);
  if (text.empty()) return;
  const std::string name = name_in(text.substr(1));
  if (text[0] == 'P') {
    portals_.erase(name);
    touched_portals_.push_back(name);
  } else if (text[0] == 'S') {
    statements_.erase(name);
    touched_.push_back(name);
  }
}

/// `rest`: a Parse from behind its name on.
UnitStatement UnitPlanner::of_parse(std::string_view rest) {
  const std::string_view sql = up_to_zero(rest);
  UnitStatement statement = of_text(sql);
  if (statement.facts != nullptr && !statement.facts->row_target.terms.empty())
    statement.rows = with_numbers_of(sql, statement.facts->row_target);
  statement.row_local =
      statement.row_local && declares_plain_types(rest.substr(sql.size()), statement.facts->row_target);
  const bool may_change = statement.names_another || statement.kind == StatementKind::read ||
                          statement.kind == StatementKind::write;
  if (may_change && rest.size() <= kMaxKeptParse)
    statement.parse_body = std::make_shared<const std::string>(rest);
  return statement;
}

void UnitPlanner::note_bind(ByteSpan body) {
  const std::string_view text = as_text(body);
  const std::size_t end = up_to_zero(text).size();
  if (end >= text.size()) return;
  const std::size_t end_of_second = end + 1 + up_to_zero(text.substr(end + 1)).size();
  UnitStatement bound = prepared(name_in(text.substr(end + 1)));
  if (bound.rows != nullptr) {
    const BindValues values(body.subspan(std::min(body.size(), end_of_second + 1)));
    bound.row_key = row_key(*bound.rows, {}, [&](std::size_t index) { return values.value(index); });
  }
  remember_portal(name_in(text), std::move(bound));
}

UnitStatement UnitPlanner::executed(ByteSpan execute_body) const {
  return portal(name_in(as_text(execute_body)));
}

/// A portal that was made by an earlier unit may have begun to run.
UnitStatement UnitPlanner::executed_in_unit(ByteSpan body) const {
  const std::string name = name_in(as_text(body));
  const bool is_new = std::ranges::find(touched_portals_, name) != touched_portals_.end();
  return is_new ? portal(name) : continued(portal(name));
}

UnitStatement UnitPlanner::prepared(const std::string& name) {
  const auto it = statements_.find(name);
  if (it == statements_.end()) return unknown_unit();
  UnitStatement& statement = it->second;
  const bool holds = statement.catalogue_version == classifier_.current_version();
  if (holds && !statement.names_another) return statement;
  if (const std::shared_ptr<const std::string> body = std::exchange(statement.parse_body, nullptr)) {
    // Without a body meanwhile: the text may be an EXECUTE of this very name.
    UnitStatement judged = of_parse(*body);
    statements_.insert_or_assign(name, judged);
    return judged;
  }
  if (statement.names_another) return unknown_unit();
  if (statement.kind == StatementKind::read) statement.kind = StatementKind::write;  // no more proven
  statement.row_local = false;
  return statement;
}

UnitStatement UnitPlanner::portal(const std::string& name) const {
  const auto it = portals_.find(name);
  return it != portals_.end() ? it->second : unknown_unit();
}

void UnitPlanner::on_error() {
  const auto forget = [](auto& known, std::vector<std::string>& names) {
    for (const std::string& name : names) {
      if (known.size() < kMaxNames || known.contains(name)) known.insert_or_assign(name, unknown_unit());
    }
    names.clear();
  };
  forget(statements_, touched_);
  forget(portals_, touched_portals_);
}

}  // namespace pgtandem
