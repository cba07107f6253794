#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server-relay/control/line-file.h"

namespace pgtandem {

Result<void> LineFile::append(const std::string& line) {
  if (size_ > 0 && size_ + line.size() > rotate_bytes_) rotate();
  if (Result<void> opened = open(); !opened) return opened;
  const ssize_t written = ::write(descriptor_, line.data(), line.size());
  if (written == ssize_t(line.size())) {
    size_ += line.size();
    return {};
  }
  const int reason = written < 0 ? errno : ENOSPC;
  // A torn line is taken back; where even that fails, the file is given up and continued after a line feed.
  if (written > 0 && ::ftruncate(descriptor_, off_t(size_)) != 0) torn_ = true;
  close();
  return Error{"cannot write '" + path_ + "': " + std::strerror(reason)};
}

Result<void> LineFile::open() {
  if (descriptor_ >= 0) return {};
  // Statements may be confidential: for the relay's own user only.
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor_ < 0) return Error{"cannot open '" + path_ + "': " + std::strerror(errno)};
  struct stat info {};
  size_ = ::fstat(descriptor_, &info) == 0 ? std::uint64_t(info.st_size) : 0;
  if (torn_ && ::write(descriptor_, "\n", 1) == 1) {
    torn_ = false;
    ++size_;
  }
  return {};
}

void LineFile::close() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

void LineFile::rotate() {
  close();
  ::rename((path_ + ".1").c_str(), (path_ + ".2").c_str());
  ::rename(path_.c_str(), (path_ + ".1").c_str());
  size_ = 0;
}

}  // namespace pgtandem
