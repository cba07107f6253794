/// Big-endian integers and bounded reading, as every format here needs them (PostgreSQL's messages are big-endian:
/// PostgreSQL manual, "Message Data Types"). Nothing here allocates for a length that the input merely claims.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace pgtandem {

using ByteSpan = std::span<const std::byte>;

inline ByteSpan as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline std::uint32_t load_u32(const std::byte* p) {
  return (std::uint32_t(p[0]) << 24) | (std::uint32_t(p[1]) << 16) | (std::uint32_t(p[2]) << 8) |
         std::uint32_t(p[3]);
}
inline void store_u32(std::byte* p, std::uint32_t v) {
  p[0] = std::byte(v >> 24);
  p[1] = std::byte(v >> 16);
  p[2] = std::byte(v >> 8);
  p[3] = std::byte(v);
}

/// Reads from the front of a span. After the first read past the end every further read fails too.
class ByteReader {
 public:
  explicit ByteReader(ByteSpan bytes) : rest_(bytes) {}

  std::size_t left() const { return rest_.size(); }
  bool failed() const { return failed_; }
  ByteSpan rest() const { return rest_; }

  /// `size` bytes, or an empty span and failed().
  ByteSpan take(std::size_t size) {
    if (failed_ || size > rest_.size()) {
      failed_ = true;
      return {};
    }
    const ByteSpan head = rest_.first(size);
    rest_ = rest_.subspan(size);
    return head;
  }
  std::uint8_t u8() {
    const ByteSpan b = take(1);
    return b.empty() ? 0 : std::uint8_t(b[0]);
  }
  std::uint16_t u16() {
    const ByteSpan b = take(2);
    return b.empty() ? 0 : std::uint16_t((unsigned(b[0]) << 8) | unsigned(b[1]));
  }
  std::uint32_t u32() {
    const ByteSpan b = take(4);
    return b.empty() ? 0 : load_u32(b.data());
  }
  std::uint64_t u64() {
    const std::uint64_t high = u32();
    return (high << 32) | u32();
  }
  /// The bytes before the next NUL, which is consumed as well; fails where there is none.
  std::string_view c_string() {
    const std::size_t end = failed_ ? std::string_view::npos : as_text(rest_).find('\0');
    if (end == std::string_view::npos) {
      failed_ = true;
      return {};
    }
    const ByteSpan text = take(end);
    take(1);
    return as_text(text);
  }

 private:
  ByteSpan rest_;
  bool failed_ = false;
};

/// Appends to a string used as a byte buffer.
class ByteWriter {
 public:
  ByteWriter& u8(std::uint8_t v) {
    out_.push_back(char(v));
    return *this;
  }
  ByteWriter& u16(std::uint16_t v) { return u8(std::uint8_t(v >> 8)).u8(std::uint8_t(v)); }
  ByteWriter& u32(std::uint32_t v) { return u16(std::uint16_t(v >> 16)).u16(std::uint16_t(v)); }
  ByteWriter& u64(std::uint64_t v) { return u32(std::uint32_t(v >> 32)).u32(std::uint32_t(v)); }
  ByteWriter& text(std::string_view v) {
    out_.append(v);
    return *this;
  }
  ByteWriter& c_string(std::string_view v) { return text(v).u8(0); }

  const std::string& str() const { return out_; }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

}  // namespace pgtandem
