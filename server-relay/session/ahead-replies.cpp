#include "server-relay/session/ahead-replies.h"

#include "server-relay/replies/reply-reader.h"

namespace pgtandem {

void AheadReplies::clear() {
  if (bytes_.capacity() > kKeptCapacity) bytes_ = std::string();
  bytes_.clear();
  trim_at_ = kTrimStep;
}

void AheadReplies::master_is_at(const ReplyProgress& place, const Reading& reading) {
  if (bytes_.size() < trim_at_) return;
  const Found found = find(place, reading);
  bytes_.erase(0, found.offset);
  begin_ = found.progress;
  trim_at_ = bytes_.size() + kTrimStep;
}

std::optional<ByteSpan> AheadReplies::from(const ReplyProgress& place, const Reading& reading) const {
  const Found found = find(place, reading);
  if (found.progress != place || found.progress.digest != place.digest) return std::nullopt;
  return as_bytes(bytes_).subspan(found.offset);
}

/// The first message that begins at `place`, or the place where all ends.
AheadReplies::Found AheadReplies::find(const ReplyProgress& place, const Reading& reading) const {
  MessageSplitter splitter(reading.whole_limit);
  ReplyReader reader(false);
  reader.set_mapper(reading.mapper);
  reader.set_progress(begin_);
  ByteSpan rest = as_bytes(bytes_);
  while (reader.progress() < place) {
    const ByteSpan before = rest;
    const std::optional<MessagePiece> piece = splitter.next(rest);
    if (!piece || !piece->last) {
      rest = before;
      break;
    }
    (void)reader.on_piece(*piece);
  }
  return {bytes_.size() - rest.size(), reader.progress()};
}

}  // namespace pgtandem
