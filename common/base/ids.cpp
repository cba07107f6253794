#include "common/base/ids.h"

#include <algorithm>

#include "common/base/crypto.h"

namespace pgtandem {

Result<Node> parse_node(std::string_view text) {
  if (text == "a") return Node::a;
  if (text == "b") return Node::b;
  return Error{"'" + std::string(text) + "' is not a node: the nodes of a pair are called a and b"};
}

Uuid random_uuid() {
  Uuid uuid;
  const std::string random = random_bytes(uuid.bytes.size());
  std::ranges::copy(as_bytes(random), uuid.bytes.begin());
  uuid.bytes[6] = (uuid.bytes[6] & std::byte{0x0F}) | std::byte{0x40};
  uuid.bytes[8] = (uuid.bytes[8] & std::byte{0x3F}) | std::byte{0x80};
  return uuid;
}

std::string to_string(const Uuid& uuid) {
  std::string text = to_hex(uuid.bytes);
  for (const std::size_t place : {8, 13, 18, 23}) text.insert(place, 1, '-');
  return text;
}

Result<Uuid> parse_uuid(std::string_view text) {
  const Error wrong{"'" + std::string(text) + "' is not a UUID (8-4-4-4-12 hexadecimal digits)"};
  if (text.size() != 36) return wrong;
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash != (text[i] == '-')) return wrong;
    if (!dash) digits.push_back(text[i]);
  }
  const Result<std::string> bytes = from_hex(digits);
  if (!bytes) return wrong;
  Uuid uuid;
  std::ranges::copy(as_bytes(*bytes), uuid.bytes.begin());
  return uuid;
}

}  // namespace pgtandem
