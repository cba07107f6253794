#include "server-relay/session/unit-planner.h"

#include <algorithm>
#include <optional>

#include "common/base/bytes.h"
#include "server-relay/replies/reply-reader.h"
#include "server-relay/statements/row-target.h"

namespace pgtandem {
namespace {

/// More names than any driver prepares; beyond them statements are unproven, so writes.
constexpr std::size_t kMaxNames = 4096;
/// Bytes of a prepared statement that is judged again when the catalogue has changed; a longer one is a write
/// from then on.
constexpr std::size_t kMaxKeptParse = 16384;

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

/// The end of a Parse, from the zero behind its text on: count:int16 {oid:int32}*. A user's type may compare
/// in another way than the key does.
bool declares_plain_types(std::string_view rest) {
  ByteReader reader(as_bytes(rest));
  (void)reader.take(1);
  const std::uint16_t count = reader.u16();
  for (std::uint16_t i = 0; i < count; ++i) {
    if (reader.u32() >= kFirstUserOid) return false;
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

UnitStatement harmless_unit() {
  UnitStatement statement;
  statement.kind = StatementKind::session;
  statement.may_use_sequences = false;
  return statement;
}

}  // namespace

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
    one = executed(piece.body);
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
  summary.catalogue_version = classifier_.version();
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
        inner.catalogue_version = classifier_.version();
        statements_.insert_or_assign(statement.name, inner);
        touched_.push_back(statement.name);
      }
      break;
    default:
      break;
  }
  if (statement.kind != StatementKind::execute && statement.kind != StatementKind::fetch)
    summary.facts = std::move(facts);
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
  UnitStatement statement = of_parse(text.substr(name.size() + 1));
  const auto known = statements_.find(name);
  // A second Parse of a name that exists fails, and the first statement stays.
  if (!name.empty() && known != statements_.end() && known->second.kind != statement.kind)
    statement = UnitStatement{.kind = StatementKind::opaque};
  if (known == statements_.end() && statements_.size() >= kMaxNames) return;
  statements_.insert_or_assign(name, statement);
  touched_.push_back(name);
}

/// `rest`: a Parse from behind its name on.
UnitStatement UnitPlanner::of_parse(std::string_view rest) {
  const std::string_view sql = up_to_zero(rest);
  UnitStatement statement = of_text(sql);
  if (statement.facts != nullptr && !statement.facts->row_target.terms.empty())
    statement.rows = with_numbers_of(sql, statement.facts->row_target);
  statement.row_local = statement.row_local && declares_plain_types(rest.substr(sql.size()));
  const bool may_change = statement.kind == StatementKind::read || statement.kind == StatementKind::write;
  if (may_change && rest.size() <= kMaxKeptParse)
    statement.parse_body = std::make_shared<const std::string>(rest);
  return statement;
}

void UnitPlanner::note_bind(ByteSpan body) {
  const std::string_view text = as_text(body);
  const std::string name(up_to_zero(text));
  if (name.size() >= text.size()) return;
  const std::string of(up_to_zero(text.substr(name.size() + 1)));
  if (portals_.size() >= kMaxNames && !portals_.contains(name)) return;
  UnitStatement bound = prepared(of);
  if (bound.rows != nullptr) {
    const BindValues values(body.subspan(name.size() + of.size() + 2));
    bound.row_key = row_key(*bound.rows, {}, [&](std::size_t index) { return values.value(index); });
  }
  portals_.insert_or_assign(name, std::move(bound));
}

UnitStatement UnitPlanner::executed(ByteSpan execute_body) const {
  return portal(std::string(up_to_zero(as_text(execute_body))));
}

UnitStatement UnitPlanner::prepared(const std::string& name) {
  const auto it = statements_.find(name);
  if (it == statements_.end()) return UnitStatement{};
  UnitStatement& statement = it->second;
  if (statement.parse_body != nullptr && statement.catalogue_version != classifier_.current_version()) {
    const std::shared_ptr<const std::string> body = statement.parse_body;
    statement = of_parse(*body);
  } else if (statement.parse_body == nullptr && statement.kind == StatementKind::read &&
             statement.catalogue_version != classifier_.current_version()) {
    statement.kind = StatementKind::write;  // what proved it may be true no more
  }
  return statement;
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
