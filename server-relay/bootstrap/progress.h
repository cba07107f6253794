/// How far the bootstrap is: arithmetic and rendering. Pure; the clock is passed in.
#pragma once
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace pgtandem::bootstrap {

using SteadyTime = std::chrono::steady_clock::time_point;

/// "1.2 GiB"
std::string format_bytes(std::uint64_t bytes);
/// "2 h 5 min", "3 min 20 s", "12 s"
std::string format_duration(std::chrono::seconds duration);
/// Names come from servers: control characters become '?'.
std::string printable(std::string_view text);

struct ProgressView {
  std::string phase;                         ///< "roles", "copy", "analyze", "verify", "join"
  std::string database;                      ///< as bytes; may be empty
  std::uint64_t bytes = 0;                   ///< of dump text so far
  std::uint64_t total_bytes = 0;             ///< estimate; 0: none
  std::uint64_t wire_bytes = 0;              ///< after compression
  std::uint64_t rate = 0;                    ///< bytes of dump text a second, over the last seconds
  std::optional<std::chrono::seconds> left;  ///< nothing while unknown
};

/// One line for a terminal of `width` columns, without the carriage return. `arrival` is the local time of
/// day at which it will be done ("14:32:10"), shown where `left` is known.
std::string render_line(const ProgressView& view, std::string_view arrival, std::size_t width);
/// {"event":"progress",...} on one line.
std::string render_json(const ProgressView& view);

/// Counts bytes against an estimate that gets better with every database that is done: the text of a dump is
/// larger or smaller than the tables' files by a factor that is much the same for all databases of a server.
class ProgressMeter {
 public:
  /// `expected`: size of all tables' files.
  explicit ProgressMeter(std::uint64_t expected) : expected_left_(expected), expected_(expected) {}

  void add(std::uint64_t bytes, std::uint64_t wire_bytes, SteadyTime now);
  /// A database whose tables' files had `expected` bytes is done.
  void database_done(std::uint64_t expected);
  /// Nothing more will be dumped.
  void all_sent();
  /// Phase and database are left empty.
  ProgressView view(SteadyTime now) const;

 private:
  struct Sample {
    SteadyTime time;
    std::uint64_t bytes;
  };

  std::uint64_t estimated_total() const;

  std::uint64_t bytes_ = 0;
  std::uint64_t wire_bytes_ = 0;
  std::uint64_t bytes_of_done_ = 0;
  std::uint64_t expected_left_;
  std::uint64_t expected_;
  bool sent_ = false;
  std::deque<Sample> samples_;
};

}  // namespace pgtandem::bootstrap
