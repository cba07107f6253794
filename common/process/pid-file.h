/// A file with this process's number, locked as long as the process lives: a second instance finds the lock,
/// and a file that a crash left behind has none and is taken over.
#pragma once
#include <string>

#include "common/base/result.h"

namespace pgtandem {

class PidFile {
 public:
  /// Takes the file, or fails with the number of the process that has it. Call in the process that stays: the
  /// number is its own.
  static Result<PidFile> take(const std::string& path);

  PidFile() = default;
  PidFile(PidFile&& other) noexcept;
  PidFile& operator=(PidFile&& other) noexcept;
  /// Removes the file.
  ~PidFile();
  void remove();

 private:
  std::string path_;
  int fd_ = -1;
};

}  // namespace pgtandem
