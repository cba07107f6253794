/// The forwarder's memory on disk: the record of the highest epoch seen.
///
///   file   = "pgtandem-forwarder 1" LF "payload=" text LF "mac=" text LF "crc32c=" 8 hexadecimal digits LF
///
/// The checksum is of everything before its line. A file that is not exactly so gives no memory.
#pragma once
#include <optional>
#include <string>

#include "client-forwarder/follower.h"

namespace pgtandem {

std::string write_memory(const FollowerMemory& memory);
Result<FollowerMemory> read_memory(std::string_view content);

class MemoryFile {
 public:
  /// `path` empty: nothing is remembered.
  explicit MemoryFile(std::string path) : path_(std::move(path)) {}

  /// Nothing where there is no file; an error where it cannot be read or is damaged.
  Result<std::optional<FollowerMemory>> load() const;
  /// Replaces the file at once or not at all; it is on the disk when this returns.
  Result<void> save(const FollowerMemory& memory) const;
  /// Whether the file's folder can be written to; for the start, so that an operator hears of it then.
  Result<void> check_folder() const;

 private:
  std::string path_;
};

}  // namespace pgtandem
