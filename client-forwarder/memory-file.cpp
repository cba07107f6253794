#include "client-forwarder/memory-file.h"

#include <array>
#include <cstdio>

#include "common/base/crc32c.h"

namespace pgtandem {
namespace {

constexpr std::string_view kFirstLine = "pgtandem-forwarder 1\n";

std::string checksum_line(std::string_view before) {
  std::array<char, 24> line{};
  std::snprintf(line.data(), line.size(), "crc32c=%08x\n", unsigned(crc32c(as_bytes(before))));
  return line.data();
}

/// Takes the line "key=value" off the front; empty if it is another one.
std::string_view take_line(std::string_view& rest, std::string_view key) {
  const std::size_t end = rest.find('\n');
  if (!rest.starts_with(key) || end == std::string_view::npos) return {};
  const std::string_view value = rest.substr(key.size(), end - key.size());
  rest.remove_prefix(end + 1);
  return value;
}

}  // namespace

std::string write_memory(const FollowerMemory& memory) {
  std::string text(kFirstLine);
  text += "payload=" + memory.payload + "\nmac=" + memory.mac + "\n";
  return text + checksum_line(text);
}

Result<FollowerMemory> read_memory(std::string_view content) {
  const std::size_t last = content.rfind("crc32c=");
  if (last == std::string_view::npos || content.substr(last) != checksum_line(content.substr(0, last))) {
    return Error{"its checksum is wrong"};
  }
  if (!content.starts_with(kFirstLine)) return Error{"it is of an unknown version"};
  std::string_view rest = content.substr(kFirstLine.size(), last - kFirstLine.size());
  const std::string_view payload = take_line(rest, "payload=");
  const std::string_view mac = take_line(rest, "mac=");
  if (!rest.empty()) return Error{"it has an unknown line"};
  return parse_record(payload, mac);
}

}  // namespace pgtandem
