#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "common/roles/slot-store-folder.h"

namespace pgtandem {
namespace {

/// Closes on every way out.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }

 private:
  int fd_;
};

Error failure(const std::string& doing, const std::string& path) {
  const int code = errno;
  return Error{"could not " + doing + " " + path + ": " + std::strerror(code)};
}

class PosixSlotFiles final : public SlotFiles {
 public:
  PosixSlotFiles(std::string folder, Descriptor folder_fd, Descriptor lock)
      : folder_(std::move(folder)), folder_fd_(std::move(folder_fd)), lock_(std::move(lock)) {}

  Result<std::optional<std::string>> read(int index) override {
    const Descriptor file(::openat(folder_fd_.get(), name(index).c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.open()) {
      if (errno == ENOENT) return std::optional<std::string>();
      return failure("open", path(index));
    }
    std::string bytes(kSlotBytes + 1,
                      '\0');  // one more than a sound slot, so that a longer file is seen as such
    std::size_t size = 0;
    while (size < bytes.size()) {
      const ssize_t got = ::read(file.get(), bytes.data() + size, bytes.size() - size);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return failure("read", path(index));
      if (got == 0) break;
      size += std::size_t(got);
    }
    bytes.resize(size);
    return std::optional<std::string>(std::move(bytes));
  }

  Result<void> write(int index, std::string_view bytes) override {
    const Descriptor file(
        ::openat(folder_fd_.get(), name(index).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (!file.open()) return failure("open for writing", path(index));
    for (std::size_t done = 0; done < bytes.size();) {
      const ssize_t put = ::pwrite(file.get(), bytes.data() + done, bytes.size() - done, off_t(done));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return failure("write", path(index));
      done += std::size_t(put);
    }
    if (::ftruncate(file.get(), off_t(bytes.size())) != 0) return failure("set the length of", path(index));
    // fsync here and not on a new descriptor: only this one is certain to report the errors of these writes.
    if (::fsync(file.get()) != 0) return failure("fsync", path(index));
    return {};
  }

  Result<void> sync(int index) override {
    if (::fsync(folder_fd_.get()) != 0) return failure("fsync the folder of", path(index));
    return {};
  }

 private:
  static std::string name(int index) { return "role-" + std::to_string(index); }
  std::string path(int index) const { return folder_ + "/" + name(index); }

  std::string folder_;
  Descriptor folder_fd_;
  Descriptor lock_;
};

Result<Descriptor> take_lock(int folder_fd, const std::string& state_dir) {
  Descriptor lock(::openat(folder_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.open()) return failure("open", state_dir + "/lock");
  while (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) {
      return Error{"another relay uses the state folder " + state_dir +
                   ": stop it, or give this one a folder of its own (--state-dir)"};
    }
    return failure("lock", state_dir + "/lock");
  }
  return lock;
}

}  // namespace

Result<std::unique_ptr<SlotStore>> open_slot_store(const std::string& state_dir) {
  if (::mkdir(state_dir.c_str(), 0700) != 0 && errno != EEXIST) {
    return failure("make the state folder", state_dir);
  }
  Descriptor folder(::open(state_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.open()) return failure("open the state folder", state_dir);
  Result<Descriptor> lock = take_lock(folder.get(), state_dir);
  if (!lock) return Error{lock.error()};
  auto files = std::make_unique<PosixSlotFiles>(state_dir, std::move(folder), std::move(*lock));
  return std::unique_ptr<SlotStore>(std::make_unique<TwoSlotStore>(std::move(files)));
}

}  // namespace pgtandem
