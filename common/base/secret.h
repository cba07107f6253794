/// A string that held a password, a key or a proof: cleared before its memory is given back, never printable.
#pragma once
#include <string>
#include <string_view>
#include <utility>

namespace pgtandem {

/// Overwrites memory in a way that the compiler may not leave out.
void clear_memory(void* data, std::size_t size) noexcept;

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string_view value) : value_(value) {}
  /// Takes the value over and clears the source.
  static Secret take(std::string& value) {
    Secret secret{std::string_view(value)};
    clear_memory(value.data(), value.size());
    value.clear();
    return secret;
  }
  Secret(const Secret&) = default;
  // Copied and cleared: a moved-from short string keeps its bytes.
  // NOLINTNEXTLINE(performance-move-constructor-init)
  Secret(Secret&& other) noexcept : value_(other.value_) { other.clear(); }
  Secret& operator=(const Secret& other) {
    if (this != &other) {
      clear();
      value_ = other.value_;
    }
    return *this;
  }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      clear();
      value_ = other.value_;
      other.clear();
    }
    return *this;
  }
  ~Secret() { clear(); }

  bool empty() const { return value_.empty(); }
  /// The value itself, for the one call that needs it; never for a log.
  std::string_view reveal() const { return value_; }
  void clear() noexcept {
    clear_memory(value_.data(), value_.size());
    value_.clear();
  }

 private:
  std::string value_;
};

}  // namespace pgtandem
