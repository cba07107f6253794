/// What a loader says on its standard output: one JSON object a line.
///   alive   every second: phase, name of the database in hand, bytes given to psql so far
///   piece   a piece is loaded: its name, bytes and SHA-256 as they arrived
///   failed  and nothing more: error, do
///   done    after the whole stream: pieces, sha256, left (roles and databases that exist only here)
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace pgtandem::bootstrap {

struct LoaderLine {
  std::string event;
  std::string phase;
  std::string name;
  std::uint64_t bytes = 0;
  std::uint32_t pieces = 0;
  std::string sha256;  ///< hexadecimal
  std::string error;
  std::string remedy;  ///< "do" in JSON
  std::vector<std::string> left;
};

/// Without the newline.
std::string to_json(const LoaderLine& line);
Result<LoaderLine> parse_loader_line(std::string_view json);

}  // namespace pgtandem::bootstrap
