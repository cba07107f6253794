#include "server-relay/bootstrap/frames.h"

#include <algorithm>

#include "common/base/crc32c.h"

namespace pgtandem::bootstrap {
namespace {

constexpr std::string_view kMagic = "PGTANDEM";
constexpr std::size_t kMagicSize = 8 + 4;
constexpr std::size_t kHeadSize = 1 + 4 + 4;
constexpr std::size_t kCrcSize = 4;
constexpr std::size_t kMaxDatabaseName = 63;  // NAMEDATALEN - 1 of an unpatched server
constexpr std::size_t kCompactAbove = 1U << 20;

bool is_known(std::uint8_t type) {
  return std::string_view("HBDEZX").find(char(type)) != std::string_view::npos;
}

Sha256Digest to_digest(ByteSpan bytes) {
  Sha256Digest digest{};
  std::ranges::copy(bytes, digest.begin());
  return digest;
}

}  // namespace

Result<PieceName> decode_begin(const Frame& frame) {
  ByteReader reader(as_bytes(frame.payload));
  const std::uint8_t kind = reader.u8();
  const std::string name(as_text(reader.rest()));
  if (kind == std::uint8_t(PieceKind::roles) && name.empty()) return PieceName{PieceKind::roles, {}};
  const bool good_name =
      !name.empty() && name.size() <= kMaxDatabaseName && name.find('\0') == std::string::npos;
  if (kind == std::uint8_t(PieceKind::database) && good_name) return PieceName{PieceKind::database, name};
  return Error{"the stream begins a piece that this version does not know"};
}

Result<PieceEnd> decode_end(const Frame& frame) {
  ByteReader reader(as_bytes(frame.payload));
  PieceEnd end;
  end.size = reader.u64();
  const ByteSpan digest = reader.take(end.digest.size());
  if (reader.failed() || reader.left() != 0)
    return Error{"the stream's end-of-piece frame has a wrong length"};
  end.digest = to_digest(digest);
  return end;
}

Result<StreamEnd> decode_finish(const Frame& frame) {
  ByteReader reader(as_bytes(frame.payload));
  StreamEnd end;
  end.pieces = reader.u32();
  const ByteSpan digest = reader.take(end.digest.size());
  if (reader.failed() || reader.left() != 0) return Error{"the stream's last frame has a wrong length"};
  end.digest = to_digest(digest);
  return end;
}

void FrameWriter::frame(std::string& out, FrameType type, ByteSpan payload) {
  const std::size_t start = out.size();
  ByteWriter head;
  head.u8(std::uint8_t(type)).u32(sequence_++).u32(std::uint32_t(payload.size()));
  out.append(head.str()).append(as_text(payload));
  ByteWriter tail;
  tail.u32(crc32c(as_bytes(out).subspan(start)));
  out.append(tail.str());
}

void FrameWriter::hello(std::string& out, std::string_view json) {
  ByteWriter magic;
  magic.text(kMagic).u32(kStreamVersion);
  out.append(magic.str());
  frame(out, FrameType::hello, as_bytes(json));
}

void FrameWriter::begin_piece(std::string& out, const PieceName& piece) {
  ByteWriter payload;
  payload.u8(std::uint8_t(piece.kind)).text(piece.name);
  frame(out, FrameType::begin_piece, as_bytes(payload.str()));
}

void FrameWriter::data(std::string& out, ByteSpan deflated) {
  while (!deflated.empty()) {
    const std::size_t size = std::min(deflated.size(), kMaxFramePayload);
    frame(out, FrameType::data, deflated.first(size));
    deflated = deflated.subspan(size);
  }
}

void FrameWriter::end_piece(std::string& out, const PieceEnd& end) {
  ByteWriter payload;
  payload.u64(end.size).text(as_text(end.digest));
  frame(out, FrameType::end_piece, as_bytes(payload.str()));
}

void FrameWriter::finish(std::string& out, const StreamEnd& end) {
  ByteWriter payload;
  payload.u32(end.pieces).text(as_text(end.digest));
  frame(out, FrameType::finish, as_bytes(payload.str()));
}

void FrameWriter::abort(std::string& out, std::string_view reason) {
  frame(out, FrameType::abort, as_bytes(reason.substr(0, kMaxFramePayload)));
}

void FrameReader::push(ByteSpan bytes) {
  if (read_ > kCompactAbove || read_ == buffer_.size()) {
    buffer_.erase(0, read_);
    read_ = 0;
  }
  buffer_.append(as_text(bytes));
}

Error FrameReader::damaged(std::string what) {
  place_ = Place::damaged;
  return Error{"the stream is damaged: " + std::move(what)};
}

Result<bool> FrameReader::read_magic() {
  ByteReader reader(rest());
  if (reader.left() < kMagicSize) return false;
  if (as_text(reader.take(kMagic.size())) != kMagic) {
    return damaged(
        "it does not begin as a pgtandem stream (does the login shell of the ssh user print something?)");
  }
  const std::uint32_t version = reader.u32();
  if (version != kStreamVersion)
    return damaged("format version " + std::to_string(version) + " is not known here");
  read_ += kMagicSize;
  place_ = Place::hello;
  return true;
}

Result<void> FrameReader::check_order(FrameType type) {
  const Place before = place_;
  if (type == FrameType::abort) {
    place_ = Place::damaged;
    return {};
  }
  if (before == Place::hello && type == FrameType::hello) {
    place_ = Place::between_pieces;
  } else if (before == Place::between_pieces && type == FrameType::begin_piece) {
    place_ = Place::in_piece;
  } else if (before == Place::in_piece && type == FrameType::end_piece) {
    place_ = Place::between_pieces;
  } else if (before == Place::between_pieces && type == FrameType::finish) {
    place_ = Place::finished;
  } else if (before != Place::in_piece || type != FrameType::data) {
    return damaged("frame " + std::to_string(sequence_) + " stands in a wrong place");
  }
  return {};
}

Result<std::optional<Frame>> FrameReader::next() {
  if (place_ == Place::damaged) return Error{"the stream is damaged or was given up"};
  if (place_ == Place::magic) {
    const Result<bool> magic = read_magic();
    if (!magic) return Error{magic.error()};
    if (!*magic) return std::optional<Frame>();
  }
  ByteReader reader(rest());
  if (place_ == Place::finished) {
    if (reader.left() != 0) return damaged("there are bytes behind its end");
    return std::optional<Frame>();
  }
  if (reader.left() < kHeadSize) return std::optional<Frame>();
  const std::uint8_t type = reader.u8();
  const std::uint32_t sequence = reader.u32();
  const std::uint32_t length = reader.u32();
  const std::string where = "frame " + std::to_string(sequence_);
  if (!is_known(type) || length > kMaxFramePayload || sequence != sequence_) {
    return damaged(where + " has a wrong head");
  }
  if (reader.left() < length + kCrcSize) return std::optional<Frame>();
  const std::uint32_t expected = crc32c(rest().first(kHeadSize + length));
  Frame frame{FrameType(type), std::string(as_text(reader.take(length)))};
  if (reader.u32() != expected) return damaged(where + " has a wrong CRC-32C");
  const Result<void> order = check_order(frame.type);
  if (!order) return Error{order.error()};
  read_ += kHeadSize + length + kCrcSize;
  ++sequence_;
  return std::optional<Frame>(std::move(frame));
}

Result<void> FrameReader::end_of_input() const {
  if (place_ == Place::finished && rest().empty()) return {};
  return Error{"the stream ended early, at frame " + std::to_string(sequence_)};
}

}  // namespace pgtandem::bootstrap
