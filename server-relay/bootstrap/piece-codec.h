/// Compression and digest of one piece of the stream (frames.h): zlib outside, SHA-256 over the bytes before
/// compression. Bounded memory in both directions, whatever the other side claims. No files, no sockets.
#pragma once
#include <memory>
#include <string>

#include <zlib.h>

#include "common/base/bytes.h"
#include "common/base/crypto.h"
#include "common/base/result.h"

struct evp_md_ctx_st;

namespace pgtandem::bootstrap {

/// SHA-256 in steps.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(const Sha256Stream&) = delete;
  Sha256Stream& operator=(const Sha256Stream&) = delete;

  void add(ByteSpan bytes);
  /// Call once.
  Sha256Digest finish();

 private:
  evp_md_ctx_st* context_;
};

/// Compresses one piece.
class PieceEncoder {
 public:
  PieceEncoder();
  ~PieceEncoder();
  PieceEncoder(const PieceEncoder&) = delete;
  PieceEncoder& operator=(const PieceEncoder&) = delete;

  /// Appends what zlib gives out for `raw` to `out` (may be nothing yet).
  void add(ByteSpan raw, std::string& out);
  /// Appends the rest; call once, last.
  void finish(std::string& out);
  std::uint64_t raw_bytes() const { return raw_bytes_; }
  /// Valid once after finish().
  Sha256Digest digest() { return digest_.finish(); }

 private:
  void run(ByteSpan raw, int flush, std::string& out);

  z_stream zlib_{};
  Sha256Stream digest_;
  std::uint64_t raw_bytes_ = 0;
};

/// Decompresses one piece, kChunk bytes at a time: a frame of zeros may stand for a thousand times its size.
class PieceDecoder {
 public:
  static constexpr std::size_t kChunk = 64U << 10;

  PieceDecoder();
  ~PieceDecoder();
  PieceDecoder(const PieceDecoder&) = delete;
  PieceDecoder& operator=(const PieceDecoder&) = delete;

  /// Takes the payload of one data frame. Requires that next_chunk() gave out everything before.
  void push(std::string deflated);
  /// The next bytes, valid until the next call; empty: push() more.
  Result<ByteSpan> next_chunk();
  std::uint64_t raw_bytes() const { return raw_bytes_; }
  /// Everything arrived and is what was sent? Call once.
  Result<Sha256Digest> finish(std::uint64_t expected_bytes, const Sha256Digest& expected);

 private:
  z_stream zlib_{};
  Sha256Stream digest_;
  std::string input_;
  std::string chunk_;
  std::uint64_t raw_bytes_ = 0;
  bool ended_ = false;
};

}  // namespace pgtandem::bootstrap
