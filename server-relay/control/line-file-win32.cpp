#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <io.h>
#include <sys/stat.h>

#include "server-relay/control/line-file.h"

namespace pgtandem {

Result<void> LineFile::append(const std::string& line) {
  if (size_ > 0 && size_ + line.size() > rotate_bytes_) rotate();
  if (Result<void> opened = open(); !opened) return opened;
  const int written = ::_write(descriptor_, line.data(), unsigned(line.size()));
  if (written == int(line.size())) {
    size_ += line.size();
    return {};
  }
  const int reason = written < 0 ? errno : ENOSPC;
  // A torn line is taken back; where even that fails, the file is given up and continued after a line feed.
  if (written > 0 && ::_chsize_s(descriptor_, std::int64_t(size_)) != 0) torn_ = true;
  close();
  return Error{"cannot write '" + path_ + "': " + std::strerror(reason)};
}

/// Who may read it is a matter of the folder's access list.
Result<void> LineFile::open() {
  if (descriptor_ >= 0) return {};
  descriptor_ = ::_open(path_.c_str(), _O_WRONLY | _O_APPEND | _O_CREAT | _O_BINARY | _O_NOINHERIT,
                        _S_IREAD | _S_IWRITE);
  if (descriptor_ < 0) return Error{"cannot open '" + path_ + "': " + std::strerror(errno)};
  const std::int64_t size = ::_filelengthi64(descriptor_);
  size_ = size < 0 ? 0 : std::uint64_t(size);
  if (torn_ && ::_write(descriptor_, "\n", 1) == 1) {
    torn_ = false;
    ++size_;
  }
  return {};
}

void LineFile::close() {
  if (descriptor_ >= 0) ::_close(descriptor_);
  descriptor_ = -1;
}

void LineFile::rotate() {
  close();
  std::error_code ignored;
  std::filesystem::rename(path_ + ".1", path_ + ".2", ignored);  // over an old one, as on other systems
  std::filesystem::rename(path_, path_ + ".1", ignored);
  size_ = 0;
}

}  // namespace pgtandem
