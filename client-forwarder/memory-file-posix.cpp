#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client-forwarder/memory-file.h"

namespace pgtandem {
namespace {

/// A real file has less than 400 bytes.
constexpr std::size_t kMaxFileBytes = 4096;

class Descriptor {
 public:
  Descriptor(const std::string& path, int flags, mode_t mode = 0)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int fd() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

Error failed(const std::string& what, const std::string& path) {
  return Error{"cannot " + what + " '" + path + "': " + std::strerror(errno)};
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool write_whole(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(std::size_t(n));
  }
  return true;
}

}  // namespace

Result<std::optional<FollowerMemory>> MemoryFile::load() const {
  if (path_.empty()) return std::optional<FollowerMemory>();
  const Descriptor file(path_, O_RDONLY | O_NONBLOCK);
  if (!file.ok() && errno == ENOENT) return std::optional<FollowerMemory>();
  if (!file.ok()) return failed("open", path_);
  std::array<char, kMaxFileBytes> buffer;
  std::size_t size = 0;
  for (ssize_t n = 1; n != 0 && size < buffer.size();) {
    n = ::read(file.fd(), buffer.data() + size, buffer.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed("read", path_);
    size += std::size_t(n);
  }
  auto memory = read_memory({buffer.data(), size});
  if (!memory.ok()) return Error{"'" + path_ + "' is damaged: " + memory.error()};
  return std::optional<FollowerMemory>(std::move(*memory));
}

Result<void> MemoryFile::save(const FollowerMemory& memory) const {
  if (path_.empty()) return {};
  const std::string fresh = path_ + ".new";
  {
    const Descriptor file(fresh, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (!file.ok()) return failed("create", fresh);
    if (!write_whole(file.fd(), write_memory(memory)) || ::fsync(file.fd()) != 0)
      return failed("write", fresh);
  }
  if (::rename(fresh.c_str(), path_.c_str()) != 0) return failed("replace", path_);
  // Without it a crash may bring the old file back.
  const Descriptor folder(folder_of(path_), O_RDONLY | O_DIRECTORY);
  if (!folder.ok() || ::fsync(folder.fd()) != 0) return failed("sync the folder of", path_);
  return {};
}

Result<void> MemoryFile::check_folder() const {
  if (path_.empty() || ::access(folder_of(path_).c_str(), W_OK | X_OK) == 0) return {};
  return failed("write to the folder of", path_);
}

}  // namespace pgtandem
