/// What `pgtandem bootstrap` says on standard output: to people a few lines and one that is updated in place,
/// to programs one JSON object a line.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "server-relay/bootstrap/preflight.h"
#include "server-relay/bootstrap/progress.h"

namespace pgtandem::bootstrap {

struct Summary {
  std::size_t databases = 0;
  std::uint64_t bytes = 0;
  std::uint64_t wire_bytes = 0;
  std::chrono::milliseconds duration{0};
  Epoch epoch = 0;
  std::string sha256;
  std::string kept_file;
  std::vector<std::string> left;  ///< exists only on the target
};

/// Used by one thread.
class Reporter {
 public:
  enum class Style { line, json };

  explicit Reporter(Style style) : style_(style) {}

  void finding(const Finding& finding);
  /// A step that has begun or ended: "the master's relay holds all writes".
  void step(const std::string& text);
  /// At most four times a second to a terminal, once a second as JSON; a new phase or database at once.
  void progress(const ProgressView& view);
  void done(const Summary& summary);
  /// Standard error gets the sentence in either style.
  void failed(const std::string& what, const std::string& remedy);

 private:
  void end_line();

  Style style_;
  bool line_open_ = false;
  std::chrono::steady_clock::time_point shown_{};
  std::string shown_what_;
};

}  // namespace pgtandem::bootstrap
