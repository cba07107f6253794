#include "server-relay/rewriting/transaction-time.h"

#include <chrono>

#include <fmt/format.h>

namespace pgtandem {

std::optional<std::string> transaction_time_text(ByteSpan binary) {
  using namespace std::chrono;
  ByteReader reader(binary);
  constexpr std::int64_t kMost = 9'000'000'000'000'000'000;  // infinity is beyond it
  const std::int64_t since_2000 = std::int64_t(reader.u64());
  if (reader.failed() || binary.size() != sizeof since_2000 || since_2000 > kMost || since_2000 < -kMost)
    return std::nullopt;
  const microseconds time(since_2000);
  const days whole_days = floor<days>(time);
  const year_month_day date{sys_days{year{2000} / January / 1} + whole_days};
  const hh_mm_ss clock{time - whole_days};
  if (!date.ok() || int(date.year()) < 1) return std::nullopt;
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:06}+00", int(date.year()), unsigned(date.month()),
                     unsigned(date.day()), clock.hours().count(), clock.minutes().count(),
                     clock.seconds().count(), clock.subseconds().count());
}

}  // namespace pgtandem
