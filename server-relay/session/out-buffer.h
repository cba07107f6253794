/// What a stream could not take at once. Writes directly while the peer keeps up; copies only the rest. One
/// thread.
#pragma once
#include <memory>
#include <string>

#include "common/net/stream.h"
#include "common/net/wakeup.h"

namespace pgtandem {

class OutBuffer {
 public:
  /// `progress` is notified when the rest was written, or the stream failed.
  OutBuffer(Stream& stream, Wakeup& progress) : stream_(stream), progress_(progress) {}

  /// Sends or keeps `bytes`. `owner` keeps stream, event and this alive while a rest is being written.
  void send(ByteSpan bytes, std::shared_ptr<void> owner);
  /// Keeps `bytes` until something else is sent, so that one write carries both; or until flush().
  void send_later(ByteSpan bytes);
  void flush(std::shared_ptr<void> owner);
  /// So many times send_later() was called since.
  std::size_t kept() const { return kept_; }
  /// From now on everything is dropped.
  void drop() {
    failed_ = true;
    kept_ = 0;
  }
  std::size_t pending() const { return failed_ ? 0 : rest_.size() - written_; }
  /// The stream took nothing more: whatever is sent is dropped.
  bool failed() const { return failed_; }
  /// Counts whatever was written, so that a peer that makes no progress can be told from a slow one.
  std::uint64_t written() const { return total_written_; }

 private:
  void write(ByteSpan bytes, std::shared_ptr<void> owner);
  void write_when_possible(std::shared_ptr<void> owner);
  void write_rest();

  Stream& stream_;
  Wakeup& progress_;
  std::string later_;
  std::size_t kept_ = 0;
  std::string rest_;
  std::size_t written_ = 0;
  std::uint64_t total_written_ = 0;
  bool failed_ = false;
};

}  // namespace pgtandem
