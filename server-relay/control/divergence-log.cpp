#include "server-relay/control/divergence-log.h"

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "common/base/log.h"
#include "server-relay/control/line-file.h"

namespace pgtandem {
namespace {

std::string utc_now() {
  using namespace std::chrono;
  const auto now = floor<milliseconds>(system_clock::now());
  const auto day = floor<days>(now);
  const year_month_day date(day);
  const hh_mm_ss time(now - day);
  char text[40];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", int(date.year()),
                unsigned(date.month()), unsigned(date.day()), int(time.hours().count()),
                int(time.minutes().count()), int(time.seconds().count()), int(time.subseconds().count()));
  return text;
}

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
