#include "server-relay/control/divergence-log.h"

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <ctime>
#include <deque>
#include <fcntl.h>
#include <mutex>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include "common/base/log.h"

namespace pgtandem {
namespace {

std::string utc_now() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  gmtime_r(&now.tv_sec, &parts);
  char text[40];
  const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + size, sizeof text - size, ".%03ldZ", now.tv_nsec / 1'000'000);
  return text;
}

/// The file itself: appends whole lines or nothing, and rotates. One thread.
class LineFile {
 public:
  LineFile(std::string path, std::uint64_t rotate_bytes)
      : path_(std::move(path)), rotate_bytes_(rotate_bytes) {}
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;
  ~LineFile() { close(); }

  Result<void> append(const std::string& line) {
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

 private:
  Result<void> open() {
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
  void close() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
  }
  void rotate() {
    close();
    ::rename((path_ + ".1").c_str(), (path_ + ".2").c_str());
    ::rename(path_.c_str(), (path_ + ".1").c_str());
    size_ = 0;
  }

  std::string path_;
  std::uint64_t rotate_bytes_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
  bool torn_ = false;
};

}  // namespace

class DivergenceLog::Impl {
 public:
  explicit Impl(Options options)
      : options_(std::move(options)),
        file_(options_.state_dir + "/" + kFileName, options_.rotate_bytes),
        thread_([this] { run(); }) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

  void record(Difference difference) {
    if (difference.time.empty()) difference.time = utc_now();
    {
      const std::lock_guard lock(mutex_);
      ++(difference.kind == Difference::Kind::write ? counts_.writes : counts_.reads);
      if (queue_.size() >= options_.queue_entries) {
        ++counts_.lost;
        ++lost_untold_;
        return;
      }
      queue_.push_back(std::move(difference));
    }
    wake_.notify_one();
  }

  Counts counts() const {
    const std::lock_guard lock(mutex_);
    Counts result = counts_;
    result.queued = queue_.size();
    return result;
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return ending_ || !queue_.empty(); });
      if (queue_.empty()) return;
      const Difference next = std::move(queue_.front());
      queue_.pop_front();
      const std::uint64_t untold = std::exchange(lost_untold_, 0);
      lock.unlock();
      const bool kept = write(next, untold);
      lock.lock();
      if (kept) {
        ++counts_.kept;
      } else {
        ++counts_.lost;
        lost_untold_ += untold + 1;
      }
    }
  }

  /// First how many entries are missing before this one, then the entry, in one piece.
  bool write(const Difference& difference, std::uint64_t untold) {
    const std::string before = untold == 0 ? std::string() : lost_line(difference.time, untold);
    const Result<void> appended = file_.append(before + to_line(difference));
    if (!appended && !failing_) {
      log::error("divergence-log-failed",
                 {{"why", appended.error()},
                  {"do", "free space or correct the state folder; nothing else suffers"}});
    }
    if (appended && failing_) log::info("divergence-log-works-again", {{"lost_entries", untold}});
    failing_ = !appended.ok();
    return appended.ok();
  }

  const Options options_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Difference> queue_;
  Counts counts_;
  std::uint64_t lost_untold_ = 0;  ///< lost, and not yet told of in the file
  bool ending_ = false;
  LineFile file_;         // the thread's own
  bool failing_ = false;  // the thread's own
  std::thread thread_;    // last: it uses all of the above
};

DivergenceLog::DivergenceLog(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
DivergenceLog::~DivergenceLog() = default;

void DivergenceLog::record(Difference difference) {
  impl_->record(std::move(difference));
}
DivergenceLog::Counts DivergenceLog::counts() const {
  return impl_->counts();
}

}  // namespace pgtandem
