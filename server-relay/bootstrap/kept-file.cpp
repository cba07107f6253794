#include "server-relay/bootstrap/kept-file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>
#include <utility>

namespace pgtandem::bootstrap {
namespace {

Error failed(const std::string& what, const std::string& path) {
  return Error{what + " " + path + " failed: " + std::strerror(errno)};
}

}  // namespace

Result<KeptFile> KeptFile::create(const std::string& path) {
  std::error_code error;
  if (std::filesystem::exists(path, error))
    return Error{"--to-file: " + path + " exists already; name another file"};
  KeptFile file(-1, path);
  file.fd_ = ::open(file.part().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file.fd_ < 0) return failed("creating", file.part());
  return file;
}

KeptFile::KeptFile(KeptFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}

KeptFile::~KeptFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(part().c_str());
}

Result<void> KeptFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed("writing", part());
    bytes.remove_prefix(std::size_t(written));
  }
  return {};
}

Result<void> KeptFile::finish() {
  if (::fsync(fd_) != 0) return failed("writing", part());
  // link, not rename: a file that has appeared meanwhile is not replaced.
  if (::link(part().c_str(), path_.c_str()) != 0) return failed("naming", path_);
  ::unlink(part().c_str());
  ::close(std::exchange(fd_, -1));
  const std::string folder = std::filesystem::absolute(path_).parent_path();
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return failed("opening", folder);
  const int synced = ::fsync(fd);
  ::close(fd);
  if (synced != 0) return failed("writing", folder);
  return {};
}

}  // namespace pgtandem::bootstrap
