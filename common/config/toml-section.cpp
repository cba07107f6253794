#include "common/config/toml-section.h"

#include <algorithm>

#include "common/config/toml-parser.h"

namespace pgtandem::config {
namespace {

constexpr std::string_view kBlanks = " \t\r";

/// Lines by number (from 0), as offsets into the text.
class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text) {
    std::size_t at = 0;
    while (at < text.size()) {
      begins_.push_back(at);
      at = std::min(text.find('\n', at), text.size() - 1) + 1;
    }
  }
  std::size_t count() const { return begins_.size(); }
  std::size_t begin(std::size_t line) const { return line < count() ? begins_[line] : text_.size(); }
  /// Without the blanks in front.
  std::string_view content(std::size_t line) const {
    std::string_view all = text_.substr(begin(line), begin(line + 1) - begin(line));
    if (all.ends_with('\n')) all.remove_suffix(1);
    return all.substr(std::min(all.find_first_not_of(kBlanks), all.size()));
  }
  bool blank(std::size_t line) const { return content(line).empty(); }
  bool comment(std::size_t line) const { return content(line).starts_with('#'); }

 private:
  std::string_view text_;
  std::vector<std::size_t> begins_;
};

struct Span {
  std::size_t first = 0;  ///< line of the header
  std::size_t last = 0;   ///< line in which the last key's value ends
};

Span span_of(const toml::table& section) {
  Span span;
  span.first = span.last = section.source().begin.line - 1;
  for (const auto& [key, value] : section) {
    span.last = std::max(
        {span.last, std::size_t(value.source().begin.line - 1), std::size_t(value.source().end.line - 1)});
  }
  return span;
}

std::string_view line_end(std::string_view text) {
  const std::size_t first = text.find('\n');
  const bool crlf = first != std::string_view::npos && first > 0 && text[first - 1] == '\r';
  return crlf ? "\r\n" : "\n";
}

Result<SectionPlace> place_of(const toml::table& section, std::string_view text, std::string_view name) {
  const Lines lines(text);
  const Span span = span_of(section);
  if (section.is_inline() || !lines.content(span.first).starts_with('[')) {
    return Error{"line " + std::to_string(span.first + 1) + ": '" + std::string(name) +
                 "' is written with dotted keys or in braces; write it as a section, [" + std::string(name) +
                 "] with a key a line"};
  }
  SectionPlace place{
      true, lines.begin(span.first), lines.begin(span.last + 1), lines.begin(span.first + 1), {}};
  for (const auto& [key, value] : section) place.keys.emplace_back(key.str());
  return place;
}

}  // namespace

Result<SectionPlace> find_section(std::string_view text, std::string_view name) {
  try {
    const toml::table table = toml::parse(text);
    const toml::node* node = table.get(name);
    if (node == nullptr) return SectionPlace{};
    const toml::table* section = node->as_table();
    if (section == nullptr) return Error{"'" + std::string(name) + "' is no section"};
    return place_of(*section, text, name);
  } catch (const toml::parse_error& failure) {
    return Error{"line " + std::to_string(failure.source().begin.line) + ": " +
                 std::string(failure.description())};
  } catch (const BrokenAssumption&) {
    return Error{"a key or a name in brackets is empty or wrong"};
  }
}

Result<std::string> put_into_section(std::string_view text, std::string_view name,
                                     const std::vector<std::string>& lines) {
  const Result<SectionPlace> place = find_section(text, name);
  if (!place) return Error{place.error()};
  const std::string end(line_end(text));
  std::string added;
  const std::size_t at = place->found ? place->behind_header : text.size();
  // The last line may lack its end.
  if (at > 0 && text[at - 1] != '\n') added += end;
  if (!place->found) added += (text.empty() ? "" : end) + "[" + std::string(name) + "]" + end;
  for (const std::string& line : lines) added += line + end;
  return std::string(text.substr(0, at)) + added + std::string(text.substr(at));
}

Result<std::string> take_section_out(std::string_view text, std::string_view name) {
  const Result<SectionPlace> place = find_section(text, name);
  if (!place) return Error{place.error()};
  if (!place->found) return std::string(text);
  const Lines lines(text);
  const auto line_at = [&lines](std::size_t offset) {
    std::size_t line = 0;
    while (line < lines.count() && lines.begin(line) < offset) ++line;
    return line;
  };
  std::size_t first = line_at(place->begin);
  std::size_t end = line_at(place->end);
  std::size_t comments = end;
  while (comments < lines.count() && lines.comment(comments)) ++comments;
  // Comments right above another section, or a key, are that one's.
  if (comments == lines.count() || lines.blank(comments)) end = comments;
  const bool blank_before = first > 0 && lines.blank(first - 1);
  if (end < lines.count() && lines.blank(end) && (first == 0 || blank_before)) {
    ++end;
  } else if (end == lines.count() && blank_before) {
    --first;
  }
  return std::string(text.substr(0, lines.begin(first))) + std::string(text.substr(lines.begin(end)));
}

}  // namespace pgtandem::config
