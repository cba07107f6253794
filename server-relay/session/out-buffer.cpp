#include "server-relay/session/out-buffer.h"

namespace pgtandem {

void OutBuffer::send(ByteSpan bytes, std::shared_ptr<void> owner) {
  if (bytes.empty()) return;
  if (kept_ == 0) return write(bytes, std::move(owner));
  later_.append(as_text(bytes));
  flush(std::move(owner));
}

void OutBuffer::send_later(ByteSpan bytes) {
  if (failed_ || bytes.empty()) return;
  later_.append(as_text(bytes));
  ++kept_;
}

void OutBuffer::flush(std::shared_ptr<void> owner) {
  constexpr std::size_t kCapacity = 1024;  // that an idle session may keep
  if (kept_ == 0) return;
  kept_ = 0;
  write(as_bytes(later_), std::move(owner));
  if (later_.capacity() > kCapacity) later_ = std::string();
  later_.clear();
}

void OutBuffer::write(ByteSpan bytes, std::shared_ptr<void> owner) {
  if (failed_) return;
  if (pending() != 0) {
    rest_.append(as_text(bytes));
    return;
  }
  const Stream::Transfer done = stream_.try_write(bytes);
  total_written_ += done.bytes;
  failed_ = done.ended;
  if (failed_ || done.bytes == bytes.size()) return;
  rest_.assign(as_text(bytes.subspan(done.bytes)));
  write_when_possible(std::move(owner));
}

void OutBuffer::write_when_possible(std::shared_ptr<void> owner) {
  stream_.socket().async_wait(Stream::Socket::wait_write,
                              [this, owner = std::move(owner)](std::error_code failure) mutable {
                                failed_ = failed_ || bool(failure);
                                if (!failed_) write_rest();
                                if (failed_ || pending() == 0) {
                                  rest_ = std::string();
                                  written_ = 0;
                                  progress_.notify();
                                } else {
                                  write_when_possible(std::move(owner));
                                }
                              });
}

void OutBuffer::write_rest() {
  const Stream::Transfer done = stream_.try_write(as_bytes(rest_).subspan(written_));
  total_written_ += done.bytes;
  written_ += done.bytes;
  failed_ = done.ended;
}

}  // namespace pgtandem
