/// The master's replies that may not go to the frontend yet, in order, and what each of them waits for. Pure.
///
/// Life of a held message: *open* (its end has not arrived), *closed* (waits for an outcome to be matched, or
/// only for those before it), *released* (given out by next(), dropped by consume()).
#pragma once
#include <cstdint>
#include <string>

#include "common/base/bytes.h"
#include "common/base/ring.h"

namespace pgtandem {

class HeldOutput {
 public:
  struct Release {
    ByteSpan bytes;
    bool decided = false;  ///< the last of these bytes end a ReadyForQuery: the unit is decided
    char status = 0;       ///< its transaction status
  };

  bool empty() const { return bytes_.size() == taken_; }
  std::size_t size() const { return bytes_.size() - taken_; }

  void append(ByteSpan bytes) { bytes_.append(as_text(bytes)); }
  /// The bytes appended from here on are a message that may have to wait for the master's outcome `outcome`.
  void open(std::uint64_t outcome) { marks_.push_back({end(), end(), outcome, true, false, 0}); }
  /// The message that was opened is complete.
  void close(bool waits, bool ready, char status) {
    Mark& mark = marks_.back();
    mark.end = end();
    mark.open = false;
    mark.waits = waits;
    mark.ready = ready;
    mark.status = status;
  }
  bool has_open_message() const { return !marks_.empty() && marks_[marks_.size() - 1].open; }

  /// What may go now, up to the end of a unit; `may_release(outcome)` tells whether that outcome waits no
  /// longer.
  template <typename MayRelease>
  Release next(MayRelease may_release) {
    std::uint64_t stop = end();
    for (std::size_t i = 0; i < marks_.size(); ++i) {
      const Mark& mark = marks_[i];
      if (mark.open || (mark.waits && !may_release(mark.outcome))) {
        stop = mark.begin;
        break;
      }
      if (mark.ready) return {span_to(mark.end), true, mark.status};
    }
    return {span_to(stop), false, 0};
  }
  /// Drops what next() gave.
  void consume(const Release& release) {
    taken_ += release.bytes.size();
    const std::uint64_t position = base_ + taken_;
    while (!marks_.empty() && !marks_.front().open && marks_.front().end <= position) marks_.pop_front();
    if (empty()) give_memory_back();
  }

 private:
  struct Mark {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint64_t outcome = 0;
    bool open = false;
    bool ready = false;
    char status = 0;
    bool waits = true;
  };
  static constexpr std::size_t kKeptCapacity = 512;  ///< bytes that an idle session may keep allocated

  std::uint64_t end() const { return base_ + bytes_.size(); }
  ByteSpan span_to(std::uint64_t position) const {
    return as_bytes(bytes_).subspan(taken_, std::size_t(position - base_ - taken_));
  }
  void give_memory_back() {
    base_ += bytes_.size();
    taken_ = 0;
    if (bytes_.capacity() > kKeptCapacity) bytes_ = std::string();
    bytes_.clear();
  }

  std::string bytes_;
  std::size_t taken_ = 0;
  std::uint64_t base_ = 0;  ///< how many bytes were held before bytes_[0]
  Ring<Mark> marks_;
};

}  // namespace pgtandem
