#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "common/process/pid-file.h"

namespace pgtandem {
namespace {

std::string content_of(int fd) {
  char text[32];
  const ssize_t size = ::pread(fd, text, sizeof text, 0);
  std::string content(text, std::size_t(std::max<ssize_t>(size, 0)));
  return content.substr(0, content.find('\n'));
}

/// Between open() and flock() the last owner may have removed the file: then the lock is one on nothing.
bool is_still_there(int fd, const std::string& path) {
  struct stat opened {
  }, there{};
  return ::fstat(fd, &opened) == 0 && ::stat(path.c_str(), &there) == 0 && opened.st_ino == there.st_ino &&
         opened.st_dev == there.st_dev;
}

Error failure_of(const std::string& path, const std::string& what) {
  return Error{"the pid file '" + path + "' " + what};
}

}  // namespace

Result<PidFile> PidFile::take(const std::string& path) {
  for (;;) {
    PidFile file;
    file.fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (file.fd_ < 0) return failure_of(path, std::string("cannot be opened: ") + std::strerror(errno));
    if (::flock(file.fd_, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK)
        return failure_of(path, std::string("cannot be locked: ") + std::strerror(errno));
      return failure_of(path, "belongs to process " + content_of(file.fd_) + ", which is running");
    }
    if (!is_still_there(file.fd_, path)) continue;
    file.path_ = path;
    const std::string number = std::to_string(::getpid()) + "\n";
    if (::ftruncate(file.fd_, 0) != 0 ||
        ::pwrite(file.fd_, number.data(), number.size(), 0) != ssize_t(number.size())) {
      return failure_of(path, std::string("cannot be written: ") + std::strerror(errno));
    }
    return Result<PidFile>(std::move(file));
  }
}

PidFile::PidFile(PidFile&& other) noexcept {
  *this = std::move(other);
}

PidFile& PidFile::operator=(PidFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  return *this;
}

PidFile::~PidFile() {
  remove();
}

void PidFile::remove() {
  // In this order: whoever opens the file in between finds the lock taken.
  if (!path_.empty()) ::unlink(path_.c_str());
  if (fd_ >= 0) ::close(fd_);
  path_.clear();
  fd_ = -1;
}

}  // namespace pgtandem
