/// Settings of a server that are times.
#pragma once
#include <chrono>
#include <cstdint>
#include <string_view>

namespace pgtandem {

/// "500ms", "2s", "1min", "1h", "1d" or a number of milliseconds, as SHOW gives it; 0: no limit.
inline std::chrono::milliseconds time_of_setting(std::string_view text) {
  std::int64_t number = 0;
  std::size_t i = 0;
  while (i < text.size() && text[i] >= '0' && text[i] <= '9' && number < (1LL << 40))
    number = number * 10 + (text[i++] - '0');
  const std::string_view unit = text.substr(i);
  if (unit == "s") number *= 1000;
  if (unit == "min") number *= 60 * 1000;
  if (unit == "h") number *= 3600 * 1000;
  if (unit == "d") number *= 86400 * 1000LL;
  return std::chrono::milliseconds(number);
}

}  // namespace pgtandem
