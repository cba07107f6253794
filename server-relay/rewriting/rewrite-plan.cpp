#include "server-relay/rewriting/rewrite-plan.h"

#include <algorithm>

#include "server-relay/statements/sql-lexer.h"

namespace pgtandem {
namespace {

/// Read alike with standard_conforming_strings on and off.
std::string quoted_constant(const std::optional<std::string>& value) {
  if (!value) return "NULL";
  const bool escaped = value->find('\\') != std::string::npos;
  std::string out = escaped ? "E'" : "'";
  for (const char c : *value) out.append(c == '\'' || c == '\\' ? 2 : 1, c);
  return out += '\'';
}

std::size_t size_of_digits(std::string_view text) {
  return std::size_t(std::ranges::find_if_not(text, is_digit) - text.begin());
}

/// The beginning of `text` that equals `stretch` but for its numbers; it is taken away.
std::optional<std::string_view> take_same_but_numbers(std::string_view& text, std::string_view stretch) {
  const std::string_view whole = text;
  while (!stretch.empty()) {
    if (text.empty()) return std::nullopt;
    const bool numbers = is_digit(stretch[0]) && is_digit(text[0]);
    if (!numbers && stretch[0] != text[0]) return std::nullopt;
    stretch.remove_prefix(numbers ? size_of_digits(stretch) : 1);
    text.remove_prefix(numbers ? size_of_digits(text) : 1);
  }
  return whole.substr(0, whole.size() - text.size());
}

}  // namespace

RewritePlan::RewritePlan(std::string_view text, const std::vector<Replacement>& replacements,
                         unsigned highest_parameter, CharacterWidth width)
    : highest_parameter_(highest_parameter),
      width_(width),
      positions_known_(width != CharacterWidth::unknown || is_ascii(text)) {
  std::size_t at = 0;
  for (const Replacement& replacement : replacements) {
    Piece piece;
    piece.kept = text.substr(at, replacement.span.begin - at);
    at = replacement.span.end;
    piece.original = text.substr(replacement.span.begin, at - replacement.span.begin);
    piece.original_characters = count_characters(piece.original, width);
    for (const ReplacementPart& part : replacement.parts) {
      piece.parts.push_back({part.text, std::nullopt});
      if (part.source) piece.parts.back().source = index_of(*part.source);
    }
    pieces_.push_back(std::move(piece));
  }
  if (!pieces_.empty()) rest_ = text.substr(at);
}

std::optional<RewritePlan> RewritePlan::with_numbers_of(std::string_view text) const {
  RewritePlan plan = *this;
  for (Piece& piece : plan.pieces_) {
    const std::optional<std::string_view> kept = take_same_but_numbers(text, piece.kept);
    if (!kept || !text.starts_with(piece.original)) return std::nullopt;
    piece.kept = *kept;
    text.remove_prefix(piece.original.size());
  }
  if (!plan.pieces_.empty()) plan.rest_ = text;
  return plan;
}

std::size_t RewritePlan::index_of(const Source& source) {
  for (std::size_t i = 0; !source.once && i < expressions_.size(); ++i) {
    if (!once_[i] && expressions_[i] == source.expression) return i;
  }
  expressions_.push_back(source.expression);
  parameter_types_.push_back(source.type_oid);
  types_.push_back(source.type);
  once_.push_back(source.once);
  return expressions_.size() - 1;
}

std::string RewritePlan::evaluation() const {
  std::string out;
  for (const std::string& expression : expressions_) {
    out.append(out.empty() ? "SELECT " : ", ").append(expression);
  }
  return out;
}

template <typename Render>
RewrittenText RewritePlan::render(Render render_source) const {
  RewrittenText out;
  for (const Piece& piece : pieces_) {
    out.text.append(piece.kept);
    const std::size_t begin = out.text.size();
    for (const Part& part : piece.parts) {
      out.text.append(part.text);
      if (!part.source) continue;
      out.text.append("(").append(render_source(*part.source)).append("::");
      out.text.append(types_[*part.source]).append(")");
    }
    if (!positions_known_) continue;
    out.positions.add(count_characters(piece.kept, width_), piece.original_characters,
                      count_characters(std::string_view(out.text).substr(begin), width_));
  }
  out.text.append(rest_);
  return out;
}

Result<RewrittenText> RewritePlan::text(RewriteValues values) const {
  if (values.size() != expressions_.size()) {
    return Error{"the master gave " + std::to_string(values.size()) +
                 " values where a rewritten statement needs " + std::to_string(expressions_.size())};
  }
  return render([&](std::size_t index) { return quoted_constant(values[index]); });
}

unsigned RewritePlan::original_parameters(unsigned declared) const {
  return std::max(highest_parameter_, declared);
}

RewrittenText RewritePlan::parameter_text(unsigned original_parameters) const {
  return render([&](std::size_t index) { return "$" + std::to_string(original_parameters + index + 1); });
}

}  // namespace pgtandem
