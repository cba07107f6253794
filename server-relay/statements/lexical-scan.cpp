#include "server-relay/statements/lexical-scan.h"

#include <algorithm>
#include <array>
#include <vector>

#include "server-relay/statements/sql-lexer.h"

namespace pgtandem {
namespace {

using Kind = SqlToken::Kind;

/// Adds up what may nest. A level is the text within one pair of brackets or of CASE and END; an item is what
/// its commas separate, a part what AND, OR, JOIN and the like separate within an item.
class NestingMeter {
 public:
  void take(const SqlToken& token);
  std::size_t finish();

 private:
  struct Level {
    char opened_by = 0;              ///< '(', '[', 'c' for CASE, 0 for the text itself
    std::size_t set_operations = 0;  ///< UNION nests however many commas stand between
    std::size_t joins = 0;           ///< of this item
    std::size_t tokens = 0;          ///< of this part
    std::size_t inner = 0;           ///< the deepest level in this part
    std::size_t deepest_part = 0;    ///< of this item
    std::size_t deepest_item = 0;
    std::size_t pending_between = 0;  ///< the next AND belongs to a BETWEEN

    void end_part() {
      deepest_part = std::max(deepest_part, tokens + inner);
      tokens = inner = 0;
    }
    void end_item() {
      end_part();
      // A join takes two levels of the tree.
      deepest_item = std::max(deepest_item, 2 * joins + deepest_part);
      joins = deepest_part = 0;
    }
    std::size_t depth() {
      end_item();
      return set_operations + deepest_item + 1;
    }
  };

  void take_word(std::string_view word);
  void open(char by);
  void close(char opened_by);

  std::vector<Level> levels_{1};
  bool after_dot_ = false;
};

void NestingMeter::open(char by) {
  ++levels_.back().tokens;
  Level inner;
  inner.opened_by = by;
  levels_.push_back(inner);
}

/// A bracket without its match is a syntax error: how deep such a text nests does not matter.
void NestingMeter::close(char opened_by) {
  if (levels_.size() == 1 || levels_.back().opened_by != opened_by) {
    ++levels_.back().tokens;
    return;
  }
  const std::size_t depth = levels_.back().depth();
  levels_.pop_back();
  levels_.back().inner = std::max(levels_.back().inner, depth);
}

void NestingMeter::take_word(std::string_view word) {
  using namespace std::string_view_literals;
  Level& level = levels_.back();
  const auto is_one_of = [&](const auto& keywords) {
    return std::ranges::any_of(keywords, [&](std::string_view one) { return equals_folded(word, one); });
  };
  static constexpr std::array kSetOperations{"union"sv, "intersect"sv, "except"sv};
  static constexpr std::array kBranches{"when"sv, "then"sv, "else"sv};
  ++level.tokens;
  if (word.size() > 9) return;
  if (equals_folded(word, "case")) {
    --level.tokens;
    open('c');
  } else if (equals_folded(word, "end") && level.opened_by == 'c') {
    close('c');
  } else if (equals_folded(word, "between")) {
    ++level.pending_between;
  } else if (equals_folded(word, "and") && level.pending_between > 0) {
    --level.pending_between;
  } else if (equals_folded(word, "and") || equals_folded(word, "or") ||
             (level.opened_by == 'c' && is_one_of(kBranches))) {
    level.end_part();
  } else if (equals_folded(word, "join")) {
    level.end_part();
    ++level.joins;
  } else if (is_one_of(kSetOperations)) {
    level.end_part();
    ++level.set_operations;
  }
}

void NestingMeter::take(const SqlToken& token) {
  const char sign = token.kind == Kind::sign ? token.text[0] : '\0';
  if (token.kind == Kind::word && !after_dot_) {
    take_word(token.text);  // after a dot, any keyword is a name
  } else if (sign == '(' || sign == '[') {
    open(sign);
  } else if (sign == ')' || sign == ']') {
    close(sign == ')' ? '(' : '[');
  } else if (sign == ',' || sign == ';') {
    levels_.back().end_item();
  } else {
    // +++1 is three operators, though it may look like one.
    levels_.back().tokens += token.kind == Kind::operation ? token.text.size() : 1;
  }
  after_dot_ = sign == '.';
}

std::size_t NestingMeter::finish() {
  std::size_t depth = 0;
  for (; !levels_.empty(); levels_.pop_back()) {
    levels_.back().inner = std::max(levels_.back().inner, depth);
    depth = levels_.back().depth();
  }
  return depth;
}

std::optional<StatementKind> kind_of_words(std::string_view first, std::string_view second) {
  const bool noise = second.empty() || equals_folded(second, "work") || equals_folded(second, "transaction");
  if (!noise) return std::nullopt;
  if (equals_folded(first, "begin")) return StatementKind::begin;
  if (equals_folded(first, "start") && equals_folded(second, "transaction")) return StatementKind::begin;
  if (equals_folded(first, "commit") || equals_folded(first, "end")) return StatementKind::commit;
  if (equals_folded(first, "rollback") || equals_folded(first, "abort")) return StatementKind::rollback;
  return std::nullopt;
}

/// Is one of the names around `underscore` in `text`: the names are told by what follows their last
/// underscore.
bool names_setting_at(std::string_view text, std::size_t underscore) {
  using namespace std::string_view_literals;
  static constexpr std::array kNames{"lock_timeout"sv,
                                     "statement_timeout"sv,
                                     "pg_settings"sv,
                                     "set_config"sv,
                                     "idle_in_transaction_session_timeout"sv,
                                     "idle_session_timeout"sv};
  return std::ranges::any_of(kNames, [&](std::string_view name) {
    const std::size_t before = name.rfind('_');
    return underscore >= before && text.size() - underscore >= name.size() - before &&
           equals_folded(text.substr(underscore - before, name.size()), name);
  });
}

}  // namespace

ParseCost parse_cost(std::string_view text) {
  // Measured with libpg_query 15: building, packing and unpacking of one token's share of the tree, and what
  // packing adds for each level above it.
  constexpr std::uint64_t kTimePerToken = 1500;
  constexpr std::uint64_t kTimePerLevel = 5;
  SqlLexer lexer(text);
  NestingMeter meter;
  std::uint64_t tokens = 0;
  for (SqlToken token = lexer.next(); token.kind != Kind::end; token = lexer.next()) {
    meter.take(token);
    tokens += token.kind == Kind::operation ? token.text.size() : 1;
    if (tokens * kTimePerToken > kMaxParseNanoseconds) break;  // however it goes on
  }
  ParseCost cost{.nesting = meter.finish()};
  cost.nanoseconds = tokens * (kTimePerToken + kTimePerLevel * cost.nesting) + lexer.lost_time();
  return cost;
}

std::optional<Statement> classify_by_words(std::string_view text) {
  constexpr std::size_t kLongest = 64;  // room for two words and blanks
  if (text.size() > kLongest) return std::nullopt;
  SqlLexer lexer(text);
  const SqlToken first = lexer.next();
  if (first.kind == Kind::end && text.find_first_of("-/") == std::string_view::npos) {
    return Statement{.kind = StatementKind::empty};
  }
  if (first.kind != Kind::word) return std::nullopt;
  SqlToken second = lexer.next();
  SqlToken last = second;
  if (second.kind == Kind::word) {
    last = lexer.next();
  } else {
    second = {};
  }
  if (last.text == ";") last = lexer.next();
  if (last.kind != Kind::end) return std::nullopt;
  const auto kind = kind_of_words(first.text, second.text);
  if (!kind) return std::nullopt;
  return Statement{.kind = *kind};
}

bool names_settings(std::string_view text) {
  for (std::size_t at = text.find('_'); at != std::string_view::npos; at = text.find('_', at + 1)) {
    if (names_setting_at(text, at)) return true;
  }
  return false;
}

bool mentions(std::string_view text, std::string_view lower_case_word) {
  for (std::size_t at = 0; at + lower_case_word.size() <= text.size(); ++at) {
    if (equals_folded(text.substr(at, lower_case_word.size()), lower_case_word)) return true;
  }
  return false;
}

bool mentions_isolation(std::string_view text) {
  return mentions(text, "isolation");
}

bool generalise_numbers(std::string_view text, std::string& key) {
  using namespace std::string_view_literals;
  static constexpr std::array kStarts{"select"sv, "insert"sv, "update"sv, "delete"sv, "values"sv, "with"sv};
  const auto first = std::ranges::find_if_not(text, [](char c) { return is_sql_blank(c); });
  const std::string_view word(first, std::ranges::find_if_not(first, text.end(), continues_word));
  if (std::ranges::none_of(kStarts, [&](std::string_view start) { return equals_folded(word, start); })) {
    return false;
  }
  key.clear();
  char before = ' ';
  bool in_string = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    const char after = at + 1 < text.size() ? text[at + 1] : ' ';
    if (c == '"' || c == '\\' || c == '\0') return false;
    if (c == '\'') in_string = !in_string;
    if (in_string) {
      key += c;
    } else if (c == '$' ? !is_digit(after) : (c == '-' && after == '-') || (c == '/' && after == '*')) {
      return false;
    } else if (is_digit(c) && !continues_word(before)) {
      std::size_t end = at;
      while (end < text.size() && is_digit(text[end])) ++end;
      if (end == text.size() || !starts_word(text[end])) {
        key += '0';
      } else {
        key += text.substr(at, end - at);
      }
      at = end - 1;
    } else {
      key += c;
    }
    before = text[at];
  }
  return true;
}

std::vector<std::string_view> whole_numbers(std::string_view text, std::size_t most) {
  std::vector<std::string_view> numbers;
  char before = ' ';
  bool in_string = false;
  for (std::size_t at = 0; at < text.size() && numbers.size() < most; ++at) {
    if (text[at] == '\'') in_string = !in_string;
    if (!in_string && is_digit(text[at]) && !continues_word(before)) {
      const std::size_t begin = at;
      while (at < text.size() && is_digit(text[at])) ++at;
      if (at == text.size() || !starts_word(text[at])) numbers.push_back(text.substr(begin, at - begin));
      --at;
    }
    before = text[at];
  }
  return numbers;
}

}  // namespace pgtandem
