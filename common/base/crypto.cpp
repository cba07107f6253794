/// The text forms; digests and randomness are in the sibling file of the system.
#include "common/base/crypto.h"

#include <algorithm>

namespace pgtandem {
namespace {

constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

}  // namespace

std::string to_hex(ByteSpan bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const std::byte b : bytes) {
    out.push_back(kDigits[unsigned(b) >> 4]);
    out.push_back(kDigits[unsigned(b) & 15]);
  }
  return out;
}

Result<std::string> from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) return Error{"odd number of hexadecimal digits"};
  std::string out;
  out.reserve(hex.size() / 2);
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = hex_value(hex[i]);
    const int low = hex_value(hex[i + 1]);
    if (high < 0 || low < 0) return Error{"not hexadecimal"};
    out.push_back(char(high * 16 + low));
  }
  return out;
}

std::string to_base64(ByteSpan bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  while (!bytes.empty()) {
    const std::size_t taken = std::min<std::size_t>(3, bytes.size());
    unsigned group = 0;
    for (std::size_t i = 0; i < 3; ++i) group = group << 8 | (i < taken ? unsigned(bytes[i]) : 0);
    for (std::size_t i = 0; i < 4; ++i) out.push_back(i <= taken ? kBase64[group >> (18 - 6 * i) & 63] : '=');
    bytes = bytes.subspan(taken);
  }
  return out;
}

Result<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return Error{"not base64: the length is no multiple of 4"};
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  std::string out;
  out.reserve(text.size() / 4 * 3);
  unsigned group = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int value = i < text.size() - padding ? base64_value(text[i]) : 0;
    if (value < 0) return Error{"not base64"};
    group = group << 6 | unsigned(value);
    if (i % 4 == 3) out.append({char(group >> 16 & 255), char(group >> 8 & 255), char(group & 255)});
  }
  out.resize(out.size() - padding);
  return out;
}

}  // namespace pgtandem
