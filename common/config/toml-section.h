/// One section of a TOML file as a piece of its text: put in or taken out, with every other byte left as it
/// is. The text must be one that read_toml() can read. Pure.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/config/setting-table.h"

namespace pgtandem::config {

/// The value of a setting as the file has it: of a list all items, else the one.
std::string toml_value(const Setting& setting, const std::vector<std::string>& items);

/// Where the text has the section: [begin, end) are its whole lines, from the header to the last key.
struct SectionPlace {
  bool found = false;
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t behind_header = 0;
  std::vector<std::string> keys;
};

/// The error: the section is there, but written in a way that has no lines of its own (dotted keys, braces).
Result<SectionPlace> find_section(std::string_view text, std::string_view name);

/// Puts lines ("key = value", without line ends) into the section: behind its header, or, where there is no
/// such section, as a new one at the end. Line ends as the text has them.
Result<std::string> put_into_section(std::string_view text, std::string_view name,
                                     const std::vector<std::string>& lines);

/// Takes the section out, with the comments in it and right behind it (not those of the next section), and
/// with one of the blank lines around it. A text without such a section comes back as it is.
Result<std::string> take_section_out(std::string_view text, std::string_view name);

}  // namespace pgtandem::config
