/// The file of `--to-file`: the stream as it was sent. Mode 0600 (it holds password verifiers), under a
/// temporary name until it is complete and on disk, never over a file that exists.
#pragma once
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace pgtandem::bootstrap {

class KeptFile {
 public:
  static Result<KeptFile> create(const std::string& path);
  KeptFile(KeptFile&& other) noexcept;
  KeptFile& operator=(KeptFile&&) = delete;
  KeptFile(const KeptFile&) = delete;
  /// Removes what was not finished.
  ~KeptFile();

  Result<void> write(std::string_view bytes);
  /// fsync of file and folder, then the final name.
  Result<void> finish();

 private:
  KeptFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  std::string part() const { return path_ + ".part"; }

  int fd_;
  std::string path_;
};

}  // namespace pgtandem::bootstrap
