#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/config/load.h"
#include "common/config/platform.h"
#include "common/config/secret-file.h"

extern char** environ;

namespace pgtandem {
namespace {

/// A secret that is larger is a wrong path.
constexpr std::size_t kMaxSecretBytes = 64U << 10;

class OpenFile {
 public:
  // Non-blocking: a FIFO without a writer must not hang the start.
  explicit OpenFile(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~OpenFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

Environment process_environment() {
  Environment environment;
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos)
      environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return environment;
}

Result<Secret> read_secret_file(const std::string& path, std::size_t min_size) {
  const auto failure = [&](const std::string& what) {
    return Error{"the secret file '" + path + "' " + what};
  };
  const OpenFile file(path);
  struct stat info {};
  if (file.fd() < 0 || ::fstat(file.fd(), &info) != 0) {
    return failure(std::string("cannot be opened: ") + std::strerror(errno));
  }
  if (!S_ISREG(info.st_mode)) return failure("is no regular file");
  if (info.st_mode & (S_IRWXG | S_IRWXO)) {
    return failure("is open to others than its owner; run: chmod 600 '" + path + "'");
  }
  std::string content(kMaxSecretBytes + 1, '\0');
  std::size_t size = 0;
  for (ssize_t n = 1; n != 0 && size < content.size();) {
    n = ::read(file.fd(), content.data() + size, content.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int code = errno;
      clear_memory(content.data(), content.size());
      return failure(std::string("cannot be read: ") + std::strerror(code));
    }
    size += std::size_t(n);
  }
  const bool too_large = size > kMaxSecretBytes;
  if (size > 0 && content[size - 1] == '\n') --size;
  Secret secret{std::string_view(content).substr(0, size)};
  clear_memory(content.data(), content.size());
  if (too_large) return failure("is larger than 64 KiB, which is no secret; check the path");
  if (size < min_size) {
    return failure("holds " + std::to_string(size) + " bytes, at least " + std::to_string(min_size) +
                   " are needed");
  }
  return secret;
}

namespace config {

std::string current_user() {
  const passwd* entry = ::getpwuid(::geteuid());
  return entry ? entry->pw_name : "";
}

std::string home_folder() {
  if (const char* home = std::getenv("HOME"); home && *home) return home;
  const passwd* entry = ::getpwuid(::geteuid());
  return entry ? entry->pw_dir : "";
}

}  // namespace config
}  // namespace pgtandem
