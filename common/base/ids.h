/// The names that the pair agrees on: nodes, epochs, cluster and generation identifiers.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace pgtandem {

/// A number that rises at every change of master; 0 means "none yet".
using Epoch = std::uint64_t;

enum class Node : std::uint8_t { none = 0, a = 1, b = 2 };

constexpr Node other(Node node) {
  return node == Node::a ? Node::b : node == Node::b ? Node::a : Node::none;
}
constexpr std::string_view to_string(Node node) {
  return node == Node::a ? "a" : node == Node::b ? "b" : "none";
}
Result<Node> parse_node(std::string_view text);

/// A 128-bit identifier: of the cluster (pair), or of a generation of data. All zero means "none".
struct Uuid {
  std::array<std::byte, 16> bytes{};

  friend auto operator<=>(const Uuid&, const Uuid&) = default;
  bool is_none() const { return *this == Uuid{}; }
};

/// A new random identifier (version 4).
Uuid random_uuid();
/// 8-4-4-4-12 hexadecimal digits.
std::string to_string(const Uuid& uuid);
Result<Uuid> parse_uuid(std::string_view text);

}  // namespace pgtandem
