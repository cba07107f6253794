/// The stream from the dumping side to the loading side, and the file that `--to-file` keeps:
///
///   stream   = magic version frame*
///   magic    = "PGTANDEM"
///   version  = u32                              ; 1
///   frame    = type:u8 sequence:u32 length:u32 payload[length] crc:u32
///                                               ; crc = CRC-32C over type .. payload; sequence counts from 0
///   frames   = hello (begin data* end)* finish  ; nothing behind finish; `abort` in any place ends the
///   stream hello    = 'H' JSON                         ; what was dumped: see StreamHello begin    = 'B'
///   kind:u8 name                 ; kind 'r': roles and tablespaces (no name), 'd': one database data     =
///   'D' deflate bytes                ; zlib; one deflate stream a piece end      = 'E' size:u64 sha256[32]
///   ; of the piece's bytes before compression finish   = 'Z' pieces:u32 sha256[32]        ; over the pieces'
///   digests in order abort    = 'X' reason
///
/// Big-endian. A length over kMaxFramePayload is refused before anything is allocated. Pure: no files, no
/// sockets.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/crypto.h"
#include "common/base/result.h"

namespace pgtandem::bootstrap {

/// Large enough that the 13 bytes around it cost nothing, small enough that a damaged length costs nothing
/// either.
inline constexpr std::size_t kMaxFramePayload = 256U << 10;
inline constexpr std::uint32_t kStreamVersion = 1;

enum class FrameType : std::uint8_t {
  hello = 'H',
  begin_piece = 'B',
  data = 'D',
  end_piece = 'E',
  finish = 'Z',
  abort = 'X'
};

enum class PieceKind : std::uint8_t { roles = 'r', database = 'd' };

struct Frame {
  FrameType type = FrameType::abort;
  std::string payload;
};

struct PieceName {
  PieceKind kind = PieceKind::roles;
  std::string name;  ///< the database, as bytes; empty for roles
};

struct PieceEnd {
  std::uint64_t size = 0;
  Sha256Digest digest{};
};

struct StreamEnd {
  std::uint32_t pieces = 0;
  Sha256Digest digest{};
};

Result<PieceName> decode_begin(const Frame& frame);
Result<PieceEnd> decode_end(const Frame& frame);
Result<StreamEnd> decode_finish(const Frame& frame);

/// Appends frames to a buffer; counts the sequence. The caller keeps the order of the grammar.
class FrameWriter {
 public:
  /// The magic and the hello frame: call first.
  void hello(std::string& out, std::string_view json);
  void begin_piece(std::string& out, const PieceName& piece);
  /// `deflated` of any size; split into frames as needed.
  void data(std::string& out, ByteSpan deflated);
  void end_piece(std::string& out, const PieceEnd& end);
  void finish(std::string& out, const StreamEnd& end);
  void abort(std::string& out, std::string_view reason);

 private:
  void frame(std::string& out, FrameType type, ByteSpan payload);

  std::uint32_t sequence_ = 0;
};

/// Bytes in, checked frames in the grammar's order out. After an error every call gives an error.
class FrameReader {
 public:
  void push(ByteSpan bytes);
  /// The next whole frame, nothing while more bytes are needed, or what is wrong with the stream.
  Result<std::optional<Frame>> next();
  /// The finish frame was read.
  bool finished() const { return place_ == Place::finished; }
  /// The input ended here: an error unless that is right behind finish.
  Result<void> end_of_input() const;

 private:
  enum class Place { magic, hello, between_pieces, in_piece, finished, damaged };

  Result<bool> read_magic();
  Result<void> check_order(FrameType type);
  Error damaged(std::string what);
  ByteSpan rest() const { return as_bytes(buffer_).subspan(read_); }

  std::string buffer_;
  std::size_t read_ = 0;
  std::uint32_t sequence_ = 0;
  Place place_ = Place::magic;
};

}  // namespace pgtandem::bootstrap
