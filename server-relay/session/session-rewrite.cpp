/// Discipline `serial`: what each server would compute differently is computed once, by the master, before
/// the unit is sent (design page 2, "What depends on the server").
#include <algorithm>

#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>

#include "common/base/log.h"
#include "common/protocol/messages.h"
#include "server-relay/rewriting/rewrite-messages.h"
#include "server-relay/rewriting/rewrite.h"
#include "server-relay/rewriting/source-functions.h"
#include "server-relay/session/session.h"

namespace pgtandem {
namespace {

/// A longer unit would not fit where requests are kept; neither do the replies to a Describe of more
/// parameters.
constexpr std::size_t kLongestUnit = IoThread::kScratchSize;
constexpr unsigned kMostParameters = 8192;

std::string_view up_to_zero(std::string_view text) {
  return text.substr(0, text.find('\0'));
}

/// The second of two zero-terminated names.
std::string_view second_name(std::string_view body) {
  const std::size_t first = body.find('\0');
  return first == std::string_view::npos ? std::string_view{} : up_to_zero(body.substr(first + 1));
}

bool may_be_rewritten(StatementKind kind) {
  return kind == StatementKind::write || kind == StatementKind::ddl || kind == StatementKind::copy_in ||
         kind == StatementKind::opaque;
}

/// Runs `look` on each whole message of a unit.
template <typename Look>
void for_each_message(std::string_view unit, Look look) {
  MessageSplitter splitter(unit.size() + 1);
  ByteSpan rest = as_bytes(unit);
  while (const std::optional<MessagePiece> piece = splitter.next(rest)) {
    if (piece->whole()) look(piece->type, piece->body);
  }
}

/// The prepared statements that a unit binds and does not prepare itself, each once.
std::vector<std::string> names_bound(std::string_view unit) {
  std::vector<std::string> names;
  std::vector<std::string_view> parsed;
  for_each_message(unit, [&](char type, ByteSpan body) {
    if (type == 'P') parsed.push_back(up_to_zero(as_text(body)));
    if (type != 'B') return;
    const std::string_view name = second_name(as_text(body));
    if (std::ranges::find(parsed, name) == parsed.end() && std::ranges::find(names, name) == names.end())
      names.emplace_back(name);
  });
  return names;
}

/// The servers get these statements back as the frontend wrote them, in front of its unit.
void give_back(SerialState& s, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const RewrittenStatement* statement = s.rewritten.find(name);
    if (statement == nullptr) continue;
    const std::string messages =
        build_message('C', "S" + name + '\0') + build_message('P', statement->original);
    s.prefix.to_master += messages;
    s.prefix.to_standby += messages;
    s.prefix.of_master += 2;  // CloseComplete, ParseComplete
    s.prefix.of_standby += 2;
    s.prefix.extended = true;
    s.rewritten.close(name);
  }
}

}  // namespace

/// What is to be done with one message of a unit.
struct Session::MessageRewrite {
  std::shared_ptr<const RewritePlan> plan;
  unsigned original_parameters = 0;  ///< of a Bind
  std::size_t first_value = 0;
  bool makes_large_object = false;  ///< a FunctionCall that does
};

std::shared_ptr<const RewritePlan> Session::plan_rewrite(std::string_view text, const Statement& statement) {
  SerialState& s = *serial_;
  // PREPARE stores its statement, which may have to be flagged.
  const bool prepares = statement.kind == StatementKind::session && !statement.inner_reads &&
                        (statement.may_use_sequences || !statement.flags.empty());
  if (!may_be_rewritten(statement.kind) && !prepares) return nullptr;
  const bool trusts = !s.catalogue_changed;
  const std::shared_ptr<const RewriteCatalogue> catalogue = trusts ? s.statements.rewriting() : nullptr;
  const RewriteClasses classes{env_.settings.rewrite_time, env_.settings.rewrite_values,
                               env_.settings.rewrite_time || env_.settings.rewrite_values, true};
  if (!may_need_rewriting(text, statement, catalogue.get(), classes)) {
    flag_write(text, statement, statement.flags);
    return nullptr;
  }
  RewriteRequest request;
  request.text = text;
  request.dialect = dialect_;
  request.width = width_;
  request.classes = classes;
  request.catalogue = catalogue.get();
  request.passwords.encryption = s.password_encryption;
  // A large object's number may be one that asks for another.
  auto plan = std::make_shared<const RewritePlan>(
      statement.large_objects ? rewrite_plan(request) : s.rewrite_plans.plan(request, catalogue));
  flag_write(text, statement, plan->not_rewritten());
  return plan->empty() ? nullptr : plan;
}

/// What the two servers may compute differently, and the relay leaves so, stands in the log once a text.
void Session::flag_write(std::string_view text, const Statement& statement,
                         const std::vector<std::string>& not_rewritten) {
  std::string flags;
  const auto add = [&flags](std::string_view flag) {
    if (!flags.empty()) flags += ", ";
    flags += flag;
  };
  for (const std::string& flag : statement.flags) {
    const bool replaced = flag == "now" || flag == "clock_timestamp" || flag == "random" || flag == "uuid";
    if (!replaced) add(flag);
  }
  for (const std::string& flag : not_rewritten) {
    if (flags.find(flag) == std::string::npos) add(flag);
  }
  if (flags.empty() || !serial_->statements.is_new_finding(text)) return;
  constexpr std::size_t kShown = 200;
  const bool secret = statement.shared_objects;  // roles have passwords
  log::warning("write-may-differ",
               {{"database", database_},
                {"user", user_},
                {"why", flags},
                {"statement", secret ? "(of a role)" : std::string(text.substr(0, kShown))}});
}

/// Decides for each message of the unit, and notes what it prepares and describes.
std::vector<Session::MessageRewrite> Session::plan_rewrites(const UnitPlan& plan,
                                                            std::vector<std::string>& expressions) {
  SerialState& s = *serial_;
  std::vector<MessageRewrite> rewrites;
  bool any = false;
  MessageSplitter splitter(plan.size + 1);
  ByteSpan unit = as_bytes(front_kept_).first(plan.size);
  while (const std::optional<MessagePiece> piece = splitter.next(unit)) {
    MessageRewrite rewrite;
    const std::string_view body = as_text(piece->body);
    const std::string_view name = up_to_zero(body);
    if (piece->type == 'Q') {
      if (plan.statement.facts != nullptr) rewrite.plan = plan_rewrite(name, *plan.statement.facts);
    } else if (piece->type == 'P') {
      const std::string_view text = second_name(body);
      rewrite.plan = plan_rewrite(text, *s.statements.classify(text, s.catalogue_changed, dialect_));
      note_rewritten_parse(name, piece->body, rewrite);
    } else if (piece->type == 'B') {
      if (const RewrittenStatement* statement = s.rewritten.find(second_name(body))) {
        rewrite.plan = statement->plan;
        rewrite.original_parameters = statement->original_parameters;
        if (!s.rewritten.positions()) s.rewritten.set_positions(statement->positions);
      }
    } else if (piece->type == 'F' && env_.settings.rewrite_values && makes_large_object(piece->body)) {
      rewrite.makes_large_object = any = true;
      rewrite.first_value = expressions.size();
      expressions.emplace_back(kUnusedLargeObjectSql);
    } else if (piece->type == 'D' && name.starts_with('S')) {
      const RewrittenStatement* statement = s.rewritten.find(name.substr(1));
      s.rewritten.describe(statement != nullptr ? std::optional(statement->original_parameters)
                                                : std::nullopt);
    } else if (piece->type == 'C' && name.starts_with('S')) {
      s.rewritten.close(name.substr(1));
    }
    if (rewrite.plan != nullptr && piece->type != 'P') {
      rewrite.first_value = expressions.size();
      const std::vector<std::string>& more = rewrite.plan->expressions();
      expressions.insert(expressions.end(), more.begin(), more.end());
    }
    any = any || rewrite.plan != nullptr;
    rewrites.push_back(std::move(rewrite));
  }
  if (!any) rewrites.clear();
  return rewrites;
}

/// The entry is made from the message as the servers will get it; where that cannot be, the plan is dropped.
void Session::note_rewritten_parse(std::string_view name, ByteSpan body, MessageRewrite& rewrite) {
  SerialState& s = *serial_;
  std::optional<RewrittenStatement> entry;
  if (rewrite.plan != nullptr) {
    const Result<RewrittenParse> parse = rewrite_parse(*rewrite.plan, body);
    if (parse && parse->original_parameters + rewrite.plan->parameter_types().size() <= kMostParameters) {
      entry = RewrittenStatement{rewrite.plan, parse->original_parameters, parse->positions,
                                 std::string(as_text(body))};
      if (!s.rewritten.positions()) s.rewritten.set_positions(parse->positions);
    } else {
      rewrite.plan = nullptr;
    }
  }
  s.rewritten.parse(name, std::move(entry));
}

/// Replaces the unit at the beginning of what is kept by one that gives the same on both servers. Where that
/// cannot be, its statements are what the frontend made them: a Bind has to have their parameters.
asio::awaitable<void> Session::rewrite_unit(UnitPlan& plan) {
  SerialState& s = *serial_;
  if (s.rewritten.awaits_replies()) co_await settled();
  if (ended()) co_return;
  s.rewritten.begin_unit();
  const bool whole = plan.completeness == UnitPlan::Completeness::whole;
  const bool closes = plan.statement.facts != nullptr &&
                      plan.statement.facts->kind == StatementKind::session && !s.rewritten.empty();
  if (closes) forget_deallocated(plan);
  const std::string_view unit = std::string_view(front_kept_).substr(0, plan.size);
  const bool failed = status_ == 'E';
  if (!failed && (!whole || !mirrored())) {
    // More may come of a unit that is not whole.
    if (plan.extended || !whole) give_back(s, whole ? names_bound(unit) : s.rewritten.names());
    co_return;
  }
  if (failed && s.rewritten.empty()) co_return;
  bool writes = may_be_rewritten(plan.statement.kind);
  for_each_message(unit, [&](char type, ByteSpan body) {
    if (type != 'P' || writes) return;
    const auto facts = s.statements.classify(second_name(as_text(body)), s.catalogue_changed, dialect_);
    writes = may_be_rewritten(facts->kind);
  });
  if (writes && !failed) co_await catalogue_is_read();
  if (ended()) co_return;
  std::vector<std::string> expressions;
  const std::vector<MessageRewrite> rewrites = plan_rewrites(plan, expressions);
  if (rewrites.empty()) co_return;
  // In a failed transaction the servers look at the number of values before they refuse the statement.
  std::vector<std::optional<std::string>> values(expressions.size());
  bool known = true;
  const std::string time = transaction_time().expression;
  const bool only_time = std::ranges::count(expressions, time) == std::ptrdiff_t(expressions.size());
  if (only_time && status_ == 'T' && !s.transaction_time.empty()) {
    values.assign(expressions.size(), s.transaction_time);
  } else if (!expressions.empty() && !failed) {
    co_await evaluate_on_master(expressions);
    if (ended()) co_return;
    known = s.own_values.size() == expressions.size();
    if (known) values = s.own_values;
    if (known && only_time && status_ == 'T') {
      s.wants_time = true;
      s.transaction_time = values.front().value_or("");
    }
  }
  const std::string rewritten = known ? rewritten_unit(plan, rewrites, values) : std::string();
  if (!known || front_kept_.size() - plan.size + rewritten.size() > kLongestUnit) {
    s.rewritten.begin_unit();
    give_back(s, names_bound(std::string_view(front_kept_).substr(0, plan.size)));
    co_return;
  }
  front_kept_.replace(0, plan.size, rewritten);
  plan.size = rewritten.size();
}

std::string Session::rewritten_unit(const UnitPlan& plan, const std::vector<MessageRewrite>& rewrites,
                                    const std::vector<std::optional<std::string>>& values) {
  std::string out;
  MessageSplitter splitter(plan.size + 1);
  ByteSpan unit = as_bytes(front_kept_).first(plan.size);
  for (std::size_t i = 0; const std::optional<MessagePiece> piece = splitter.next(unit); ++i) {
    const MessageRewrite& rewrite = rewrites[i];
    if (rewrite.makes_large_object) {
      const std::optional<std::string> call =
          with_large_object(piece->body, values[rewrite.first_value].value_or(""));
      out += call ? build_message('F', *call) : std::string(as_text(piece->wire));
      continue;
    }
    if (rewrite.plan == nullptr) {
      out += as_text(piece->wire);
      continue;
    }
    const std::span its_values = std::span(values).subspan(
        rewrite.first_value, piece->type == 'P' ? 0 : rewrite.plan->expressions().size());
    if (piece->type == 'Q') {
      const Result<RewrittenText> text = rewrite.plan->text(its_values);
      if (text) serial_->rewritten.set_positions(text->positions);
      out += text ? build_message('Q', text->text + '\0') : std::string(as_text(piece->wire));
    } else if (piece->type == 'P') {
      const Result<RewrittenParse> parse = rewrite_parse(*rewrite.plan, piece->body);
      out += parse ? build_message('P', parse->body) : std::string(as_text(piece->wire));
    } else {
      const Result<std::string> bind = rewrite_bind(piece->body, rewrite.original_parameters, its_values);
      out += bind ? build_message('B', *bind) : std::string(as_text(piece->wire));
    }
  }
  return out;
}

/// After DDL, and at the beginning, it is not known for a moment which columns have defaults that differ.
asio::awaitable<void> Session::catalogue_is_read() {
  constexpr auto kLook = std::chrono::milliseconds(5);
  SerialState& s = *serial_;
  asio::steady_timer timer(context_);
  while (!ended() && !s.catalogue_changed && s.statements.rewriting() == nullptr &&
         s.statements.is_being_read()) {
    timer.expires_after(kLook);
    std::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

/// Both legs evaluate, the master's values are taken. Where it fixes the transaction's snapshot it counts as
/// a write (design page 2, rule 8).
asio::awaitable<void> Session::evaluate_on_master(const std::vector<std::string>& expressions) {
  SerialState& s = *serial_;
  co_await settled();
  const bool in_order = status_ == 'T' && (s.strict || s.serializable);
  if (in_order) co_await enter_gate(GateMode::write, false);
  if (ended()) co_return;
  std::string sql = "SELECT ";
  for (std::size_t i = 0; i < expressions.size(); ++i) {
    if (i != 0) sql += ", ";
    sql += expressions[i];
  }
  soften_standby(true);
  s.own_values.clear();
  s.judging = true;
  own_unit_text(sql, true);
  flush_own();
  co_await settled();
  drop_mismatches();
  s.judging = false;
  if (in_order) leave_gate();
}

/// DEALLOCATE and DISCARD.
void Session::forget_deallocated(const UnitPlan& plan) {
  const Statement& facts = *plan.statement.facts;
  if (plan.extended || plan.size < MessageSplitter::kHeaderSize) return;
  const std::string_view text = std::string_view(front_kept_).substr(MessageSplitter::kHeaderSize, plan.size);
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || (text[first] | 0x20) != 'd') return;
  if (facts.name.empty()) {
    serial_->rewritten.close_all();
  } else {
    serial_->rewritten.close(facts.name);
  }
}

/// What the frontend gets instead of this reply, if anything else.
std::optional<std::string> Session::restored_reply(const MessagePiece& piece) {
  RewrittenStatements& rewritten = serial_->rewritten;
  if (piece.type == '1' && piece.last) rewritten.on_parse_complete();
  if (!piece.whole()) return std::nullopt;
  if (piece.type == 't') {
    const std::optional<unsigned> parameters = rewritten.next_described();
    if (parameters) return build_message('t', cut_parameter_description(piece.body, *parameters));
  }
  const bool tells_place = (piece.type == 'E' || piece.type == 'N') && rewritten.positions();
  if (!tells_place) return std::nullopt;
  return build_message(piece.type, restore_position(piece.body, *rewritten.positions()));
}

}  // namespace pgtandem
