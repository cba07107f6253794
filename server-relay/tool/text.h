/// Words, numbers and colours as the tool prints them. Pure.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pgtandem::tool {

enum class Tone { plain, good, warn, bad, strong, faint };

/// Wraps text in colours where the output is a terminal that wants them.
class Style {
 public:
  explicit Style(bool colours) : colours_(colours) {}
  std::string operator()(Tone tone, std::string_view text) const;

 private:
  bool colours_;
};

/// Text from a server as one line that can do no harm on a terminal: control characters become '?'. Bytes
/// above 0x7f stay (UTF-8), except the C1 controls.
std::string printable(std::string_view text);
/// "12 s", "3 min 5 s", "2 h 4 min", "5 d 3 h".
std::string duration_text(std::uint64_t seconds);
/// "1234567" as "1,234,567".
std::string count_text(std::uint64_t number);
/// "17 B", "1.5 KiB", "20.0 GiB".
std::string bytes_text(std::uint64_t bytes);
/// In quotes where it holds anything but plain characters, for key=value lines.
std::string quoted(std::string_view text);
std::string padded(std::string_view text, std::size_t width);

/// Rows of cells, each column as wide as its widest cell, two blanks between, `indent` before; ends in a line
/// feed.
std::string table_text(const std::vector<std::vector<std::string>>& rows, std::size_t indent);

}  // namespace pgtandem::tool
