/// The file of the divergence log: appends whole lines or nothing, and rotates. One thread. A sibling file
/// for each kind of system.
#pragma once
#include <cstdint>
#include <string>

#include "common/base/result.h"

namespace pgtandem {

class LineFile {
 public:
  LineFile(std::string path, std::uint64_t rotate_bytes)
      : path_(std::move(path)), rotate_bytes_(rotate_bytes) {}
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;
  ~LineFile() { close(); }

  /// `line` with its line feed; it may be several lines.
  Result<void> append(const std::string& line);

 private:
  Result<void> open();
  void close();
  void rotate();

  std::string path_;
  std::uint64_t rotate_bytes_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
  bool torn_ = false;  ///< the file ends within a line
};

}  // namespace pgtandem
