#include "server-relay/bootstrap/piece-codec.h"

#include <array>
#include <new>
#include <stdexcept>

#include <openssl/evp.h>

namespace pgtandem::bootstrap {
namespace {

// Level 1: the compressor shares one core with pg_dump and the cipher, and higher levels halve its rate for a
// tenth of the size on dumps.
constexpr int kLevel = 1;
constexpr std::size_t kOutputStep = 64U << 10;

// zlib's interface has no const.
Bytef* zlib_input(const void* p) {
  return static_cast<Bytef*>(const_cast<void*>(p));
}

}  // namespace

Sha256Stream::Sha256Stream() : context_(EVP_MD_CTX_new()) {
  if (context_ == nullptr || EVP_DigestInit_ex(context_, EVP_sha256(), nullptr) != 1) {
    EVP_MD_CTX_free(context_);
    throw std::runtime_error("SHA-256 is not available in this OpenSSL");
  }
}

Sha256Stream::~Sha256Stream() {
  EVP_MD_CTX_free(context_);
}

void Sha256Stream::add(ByteSpan bytes) {
  if (EVP_DigestUpdate(context_, bytes.data(), bytes.size()) != 1) throw std::runtime_error("SHA-256 failed");
}

Sha256Digest Sha256Stream::finish() {
  Sha256Digest digest{};
  if (EVP_DigestFinal_ex(context_, reinterpret_cast<unsigned char*>(digest.data()), nullptr) != 1) {
    throw std::runtime_error("SHA-256 failed");
  }
  return digest;
}

PieceEncoder::PieceEncoder() {
  if (deflateInit(&zlib_, kLevel) != Z_OK) throw std::bad_alloc();
}

PieceEncoder::~PieceEncoder() {
  deflateEnd(&zlib_);
}

void PieceEncoder::run(ByteSpan raw, int flush, std::string& out) {
  zlib_.next_in = zlib_input(raw.data());
  zlib_.avail_in = uInt(raw.size());
  do {
    const std::size_t start = out.size();
    out.resize(start + kOutputStep);
    zlib_.next_out = reinterpret_cast<Bytef*>(out.data() + start);
    zlib_.avail_out = kOutputStep;
    deflate(&zlib_, flush);
    out.resize(start + kOutputStep - zlib_.avail_out);
  } while (zlib_.avail_out == 0);
}

void PieceEncoder::add(ByteSpan raw, std::string& out) {
  digest_.add(raw);
  raw_bytes_ += raw.size();
  run(raw, Z_NO_FLUSH, out);
}

void PieceEncoder::finish(std::string& out) {
  run({}, Z_FINISH, out);
}

PieceDecoder::PieceDecoder() : chunk_(kChunk, '\0') {
  if (inflateInit(&zlib_) != Z_OK) throw std::bad_alloc();
}

PieceDecoder::~PieceDecoder() {
  inflateEnd(&zlib_);
}

void PieceDecoder::push(std::string deflated) {
  input_ = std::move(deflated);
  zlib_.next_in = zlib_input(input_.data());
  zlib_.avail_in = uInt(input_.size());
}

Result<ByteSpan> PieceDecoder::next_chunk() {
  if (ended_) {
    if (zlib_.avail_in != 0) return Error{"the stream is damaged: bytes behind the end of a piece"};
    return ByteSpan();
  }
  zlib_.next_out = reinterpret_cast<Bytef*>(chunk_.data());
  zlib_.avail_out = uInt(chunk_.size());
  const int status = inflate(&zlib_, Z_NO_FLUSH);
  if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
    return Error{"the stream is damaged: what arrived cannot be decompressed"};
  }
  ended_ = status == Z_STREAM_END;
  const ByteSpan out = as_bytes(chunk_).first(chunk_.size() - zlib_.avail_out);
  digest_.add(out);
  raw_bytes_ += out.size();
  return out;
}

Result<Sha256Digest> PieceDecoder::finish(std::uint64_t expected_bytes, const Sha256Digest& expected) {
  if (!ended_ || zlib_.avail_in != 0)
    return Error{"the stream is damaged: a piece's compressed data is incomplete"};
  const Sha256Digest digest = digest_.finish();
  if (raw_bytes_ != expected_bytes || digest != expected) {
    return Error{"the stream is damaged: a piece arrived with another SHA-256 than it was sent with"};
  }
  return digest;
}

}  // namespace pgtandem::bootstrap
