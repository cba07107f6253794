#include "common/base/crc32c.h"

#include <array>

namespace pgtandem {
namespace {

constexpr std::uint32_t kReversedPolynomial = 0x82F63B78U;

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value & 1) != 0 ? (value >> 1) ^ kReversedPolynomial : value >> 1;
    table[i] = value;
  }
  return table;
}

constexpr auto kTable = make_table();

}  // namespace

std::uint32_t crc32c(ByteSpan data) {
  std::uint32_t crc = ~0U;
  for (const std::byte b : data) crc = kTable[(crc ^ std::uint32_t(b)) & 0xFF] ^ (crc >> 8);
  return ~crc;
}

}  // namespace pgtandem
