/// Splits one direction of a PostgreSQL connection, after start-up, at message boundaries without copying.
///
///   message = type:Byte1 length:Int32 body:Byte[length-4]     (PostgreSQL manual, "Message Formats")
///
/// Small messages are only given out whole, so that whoever looks into one finds it contiguous; larger ones
/// are given out in the pieces in which they arrived, so that a message of 1 GB costs no memory. Pure; one
/// per direction.
#pragma once
#include <cstdint>
#include <optional>

#include "common/base/bytes.h"

namespace pgtandem {

/// A message, or the part of a large one that has arrived.
struct MessagePiece {
  char type = 0;
  std::uint32_t body_size = 0;  ///< of the whole message
  bool first = false;
  bool last = false;
  ByteSpan wire;  ///< the piece as it goes over the wire: with the header if it is the first one
  ByteSpan body;  ///< the piece of the body

  bool whole() const { return first && last; }
};

class MessageSplitter {
 public:
  static constexpr std::size_t kHeaderSize = 5;
  /// Messages up to this size are given out whole. Large enough for every CommandComplete, ReadyForQuery and
  /// the usual error; small enough that waiting for the rest costs nothing.
  static constexpr std::size_t kWholeLimit = 1024;
  /// PostgreSQL's own limit for any message (MaxAllocSize).
  static constexpr std::uint32_t kLengthLimit = 0x3FFFFFFF + 4;

  explicit MessageSplitter(std::size_t whole_limit = kWholeLimit) : whole_limit_(whole_limit) {}

  /// May only be raised or lowered between messages.
  void set_whole_limit(std::size_t limit) { whole_limit_ = limit; }

  /// Takes the next piece from the front of `input`. Nothing if more bytes are needed (what is left in
  /// `input` must then come again at the front of the next input; it is less than the whole limit) or if the
  /// stream is broken.
  std::optional<MessagePiece> next(ByteSpan& input) {
    if (broken_ || input.empty()) return std::nullopt;
    if (left_ != 0) return continuation(input);
    if (input.size() < kHeaderSize) return std::nullopt;
    const std::uint32_t length = load_u32(input.data() + 1);
    if (length < 4 || length > kLengthLimit) {
      broken_ = true;
      return std::nullopt;
    }
    const std::size_t total = std::size_t(length) + 1;
    if (total <= whole_limit_ && input.size() < total) return std::nullopt;
    return beginning(input, total);
  }

  /// The length of a message is impossible: nothing behind it can be understood.
  bool broken() const { return broken_; }
  /// No message has begun that has not ended.
  bool at_boundary() const { return left_ == 0; }

 private:
  MessagePiece beginning(ByteSpan& input, std::size_t total) {
    type_ = char(input[0]);
    body_size_ = std::uint32_t(total - kHeaderSize);
    const std::size_t here = input.size() < total ? input.size() : total;
    left_ = total - here;
    MessagePiece piece{type_,      body_size_,        true,
                       left_ == 0, input.first(here), input.subspan(kHeaderSize, here - kHeaderSize)};
    input = input.subspan(here);
    return piece;
  }

  MessagePiece continuation(ByteSpan& input) {
    const std::size_t here = input.size() < left_ ? input.size() : left_;
    left_ -= here;
    MessagePiece piece{type_, body_size_, false, left_ == 0, input.first(here), input.first(here)};
    input = input.subspan(here);
    return piece;
  }

  std::size_t whole_limit_;
  std::size_t left_ = 0;  ///< bytes of the current message that have not arrived
  std::uint32_t body_size_ = 0;
  char type_ = 0;
  bool broken_ = false;
};

}  // namespace pgtandem
