#include "server-relay/bootstrap/progress.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include <nlohmann/json.hpp>

namespace pgtandem::bootstrap {
namespace {

/// Rate over this much: long enough to be readable, short enough to show that something has stopped.
constexpr auto kRateWindow = std::chrono::seconds(8);

/// Seconds of copying before an arrival time is worth showing.
constexpr double kArrivalAfter = 2;

}  // namespace

std::string format_bytes(std::uint64_t bytes) {
  static constexpr std::array<const char*, 6> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = double(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text.data();
}

std::string format_duration(std::chrono::seconds duration) {
  const auto s = std::max<long long>(0, duration.count());
  if (s >= 3600) return std::to_string(s / 3600) + " h " + std::to_string(s % 3600 / 60) + " min";
  if (s >= 60) return std::to_string(s / 60) + " min " + std::to_string(s % 60) + " s";
  return std::to_string(s) + " s";
}

std::string printable(std::string_view text) {
  std::string out(text);
  std::ranges::replace_if(
      out, [](unsigned char c) { return c < 0x20 || c == 0x7F; }, '?');
  return out;
}

std::string render_line(const ProgressView& view, std::string_view arrival, std::size_t width) {
  std::string line = view.phase;
  if (!view.database.empty()) line += " " + printable(view.database);
  line += "  " + format_bytes(view.bytes);
  if (view.total_bytes != 0) {
    line += " of about " + format_bytes(view.total_bytes) + " (" +
            std::to_string(std::min<std::uint64_t>(100, view.bytes * 100 / view.total_bytes)) + " %)";
  }
  line += "  " + format_bytes(view.rate) + "/s  sent " + format_bytes(view.wire_bytes);
  if (view.left) line += "  ready at " + std::string(arrival) + ", in " + format_duration(*view.left);
  if (line.size() > width) line.resize(width);
  return line;
}

std::string render_json(const ProgressView& view) {
  nlohmann::json json = {{"event", "progress"},
                         {"phase", view.phase},
                         {"database", view.database},
                         {"bytes", view.bytes},
                         {"total_bytes", view.total_bytes},
                         {"wire_bytes", view.wire_bytes},
                         {"bytes_per_second", view.rate},
                         {"seconds_left", view.left ? nlohmann::json(view.left->count()) : nlohmann::json()}};
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void ProgressMeter::add(std::uint64_t bytes, std::uint64_t wire_bytes, SteadyTime now) {
  bytes_ += bytes;
  wire_bytes_ += wire_bytes;
  if (!samples_.empty() && now - samples_.back().time < std::chrono::milliseconds(200)) {
    samples_.back().bytes = bytes_;
    return;
  }
  samples_.push_back({now, bytes_});
  while (samples_.size() > 2 && now - samples_[1].time > kRateWindow) samples_.pop_front();
}

void ProgressMeter::database_done(std::uint64_t expected) {
  bytes_of_done_ = bytes_;
  expected_left_ -= std::min(expected, expected_left_);
}

void ProgressMeter::all_sent() {
  sent_ = true;
  bytes_of_done_ = bytes_;
  expected_left_ = 0;
}

std::uint64_t ProgressMeter::estimated_total() const {
  if (sent_) return bytes_;
  const std::uint64_t expected_done = expected_ - expected_left_;
  double factor = 1;
  if (expected_done != 0) factor = double(bytes_of_done_) / double(expected_done);
  const auto total = bytes_of_done_ + std::uint64_t(double(expected_left_) * factor);
  return std::max(total, bytes_);
}

ProgressView ProgressMeter::view(SteadyTime now) const {
  ProgressView view;
  view.bytes = bytes_;
  view.wire_bytes = wire_bytes_;
  view.total_bytes = estimated_total();
  bool known = false;
  if (!samples_.empty()) {
    const Sample& first = samples_.front();
    const double seconds = std::chrono::duration<double>(now - first.time).count();
    const std::uint64_t since = bytes_ - (samples_.size() == 1 ? 0 : first.bytes);
    if (seconds >= 0.5) view.rate = std::uint64_t(double(since) / seconds);
    known = seconds >= kArrivalAfter;
  }
  if (known && view.rate != 0 && view.total_bytes > bytes_) {
    view.left = std::chrono::seconds((view.total_bytes - bytes_) / view.rate);
  }
  return view;
}

}  // namespace pgtandem::bootstrap
