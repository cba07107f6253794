#include "server-relay/bootstrap/frames.h"

#include <catch2/catch.hpp>

#include "server-relay/bootstrap/piece-codec.h"

using namespace pgtandem;
using namespace pgtandem::bootstrap;

namespace {

struct Sample {
  std::string bytes;
  std::vector<FrameType> types;
};

std::string deflated(std::string_view raw, PieceEnd& end) {
  PieceEncoder encoder;
  std::string out;
  encoder.add(as_bytes(raw), out);
  encoder.finish(out);
  end = {encoder.raw_bytes(), encoder.digest()};
  return out;
}

/// Roles and one database: every frame type but abort.
Sample sample() {
  Sample sample;
  FrameWriter writer;
  Sha256Stream all;
  writer.hello(sample.bytes, R"({"tool":"test"})");
  for (const PieceName& piece :
       {PieceName{PieceKind::roles, ""}, PieceName{PieceKind::database, "we ird\"db"}}) {
    PieceEnd end;
    writer.begin_piece(sample.bytes, piece);
    writer.data(sample.bytes, as_bytes(deflated("CREATE TABLE t();", end)));
    writer.end_piece(sample.bytes, end);
    all.add(end.digest);
  }
  writer.finish(sample.bytes, {2, all.finish()});
  using enum FrameType;
  sample.types = {hello, begin_piece, data, end_piece, begin_piece, data, end_piece, finish};
  return sample;
}

/// What a loader makes of bytes: every frame, then the end of the input.
struct Reading {
  std::vector<FrameType> types;
  bool good = false;
};

Reading read_all(std::string_view bytes, std::size_t step) {
  Reading reading;
  FrameReader reader;
  for (std::size_t at = 0; at <= bytes.size(); at += step) {
    reader.push(as_bytes(bytes.substr(at, step)));
    for (;;) {
      const Result<std::optional<Frame>> frame = reader.next();
      if (!frame) return reading;
      if (!*frame) break;
      reading.types.push_back((*frame)->type);
    }
  }
  reading.good = reader.end_of_input().ok();
  return reading;
}

}  // namespace

TEST_CASE("a stream is read as it was written, however it is cut") {
  const Sample s = sample();
  for (const std::size_t step : {std::size_t(1), std::size_t(7), s.bytes.size()}) {
    const Reading reading = read_all(s.bytes, step);
    CHECK(reading.good);
    CHECK(reading.types == s.types);
  }
}

TEST_CASE("a stream that ends early is refused, wherever it ends") {
  const Sample s = sample();
  for (std::size_t size = 0; size < s.bytes.size(); ++size) {
    INFO("cut to " << size << " of " << s.bytes.size());
    CHECK_FALSE(read_all(std::string_view(s.bytes).substr(0, size), 4096).good);
  }
}

TEST_CASE("a stream with any bit of any byte flipped is refused") {
  const Sample s = sample();
  for (std::size_t at = 0; at < s.bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = s.bytes;
      damaged[at] = char(damaged[at] ^ (1 << bit));
      INFO("bit " << bit << " of byte " << at);
      CHECK_FALSE(read_all(damaged, 4096).good);
    }
  }
}

TEST_CASE("a frame that is left out, doubled or in a wrong place is refused, although its own CRC is right") {
  const auto stream = [](const std::function<void(FrameWriter&, std::string&)>& body) {
    FrameWriter writer;
    std::string bytes;
    writer.hello(bytes, "{}");
    body(writer, bytes);
    return bytes;
  };
  CHECK(read_all(stream([](FrameWriter& w, std::string& b) { w.finish(b, {}); }), 4096).good);
  CHECK_FALSE(read_all(stream([](FrameWriter& w, std::string& b) {
                         w.data(b, as_bytes("x"));
                         w.finish(b, {});
                       }),
                       4096)
                  .good);
  CHECK_FALSE(read_all(stream([](FrameWriter& w, std::string& b) {
                         w.end_piece(b, {});
                         w.finish(b, {});
                       }),
                       4096)
                  .good);
  CHECK_FALSE(read_all(stream([](FrameWriter& w, std::string& b) {
                         w.begin_piece(b, {});
                         w.finish(b, {});
                       }),
                       4096)
                  .good);
  CHECK_FALSE(read_all(stream([](FrameWriter& w, std::string& b) {
                         w.finish(b, {});
                         w.finish(b, {});
                       }),
                       4096)
                  .good);
  CHECK_FALSE(read_all(stream([](FrameWriter& w, std::string& b) {
                         w.hello(b, "{}");
                         w.finish(b, {});
                       }),
                       4096)
                  .good);
  CHECK_FALSE(read_all(stream([](FrameWriter& w, std::string& b) {
                         std::string lost;
                         w.begin_piece(b, {});
                         w.data(lost, as_bytes("lost"));
                         w.end_piece(b, {});
                         w.finish(b, {});
                       }),
                       4096)
                  .good);
}

TEST_CASE("a length that no frame has is refused from its head alone") {
  FrameWriter writer;
  std::string bytes;
  writer.hello(bytes, "{}");
  ByteWriter head;
  head.u8('B').u32(1).u32(0xFFFFFFF0U);
  FrameReader reader;
  reader.push(as_bytes(bytes + head.str()));
  CHECK((*reader.next()).has_value());
  CHECK_FALSE(reader.next().ok());
}

TEST_CASE("an abort ends the stream and carries its reason") {
  FrameWriter writer;
  std::string bytes;
  writer.hello(bytes, "{}");
  writer.abort(bytes, "pg_dump ended with exit status 1");
  FrameReader reader;
  reader.push(as_bytes(bytes));
  CHECK(reader.next().ok());
  const Result<std::optional<Frame>> last = reader.next();
  REQUIRE(last.ok());
  CHECK((*last)->payload == "pg_dump ended with exit status 1");
  CHECK_FALSE(reader.next().ok());
  CHECK_FALSE(reader.end_of_input().ok());
}

TEST_CASE("payloads of fixed form are read exactly") {
  CHECK(decode_begin({FrameType::begin_piece, "dorders"})->name == "orders");
  CHECK(decode_begin({FrameType::begin_piece, "r"}).ok());
  CHECK_FALSE(decode_begin({FrameType::begin_piece, "rx"}).ok());
  CHECK_FALSE(decode_begin({FrameType::begin_piece, "d"}).ok());
  CHECK_FALSE(decode_begin({FrameType::begin_piece, "xorders"}).ok());
  CHECK_FALSE(decode_begin({FrameType::begin_piece, std::string("da\0b", 4)}).ok());
  CHECK_FALSE(decode_begin({FrameType::begin_piece, "d" + std::string(64, 'x')}).ok());
  for (const std::size_t size : {0, 39, 41})
    CHECK_FALSE(decode_end({FrameType::end_piece, std::string(size, 'x')}).ok());
  CHECK(decode_end({FrameType::end_piece, std::string(40, 'x')}).ok());
  for (const std::size_t size : {0, 35, 37})
    CHECK_FALSE(decode_finish({FrameType::finish, std::string(size, 'x')}).ok());
  CHECK(decode_finish({FrameType::finish, std::string(36, 'x')}).ok());
}

namespace {

Result<std::string> decode(std::string_view bytes, std::size_t step, const PieceEnd& end) {
  PieceDecoder decoder;
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    decoder.push(std::string(bytes.substr(at, step)));
    for (;;) {
      const Result<ByteSpan> chunk = decoder.next_chunk();
      if (!chunk) return Error{chunk.error()};
      if (chunk->empty()) break;
      CHECK(chunk->size() <= PieceDecoder::kChunk);
      out += as_text(*chunk);
    }
  }
  const Result<Sha256Digest> digest = decoder.finish(end.size, end.digest);
  if (!digest) return Error{digest.error()};
  return out;
}

}  // namespace

TEST_CASE("a piece comes back as it went, in bounded chunks even where a few bytes stand for many") {
  std::string text(5 << 20, '0');
  for (std::size_t i = 0; i < text.size(); i += 1000) text[i] = char('a' + i / 1000 % 26);
  PieceEnd end;
  const std::string packed = deflated(text, end);
  CHECK(packed.size() < text.size() / 50);
  for (const std::size_t step : {std::size_t(1), std::size_t(777), packed.size()}) {
    CHECK(*decode(packed, step, end) == text);
  }
  PieceEnd empty;
  const std::string nothing = deflated("", empty);
  CHECK(decode(nothing, 100, empty)->empty());
}

TEST_CASE("a piece that is cut, longer, or not what was sent is refused") {
  PieceEnd end;
  const std::string packed = deflated("COPY t FROM stdin;\n1\n2\n3\n\\.\n", end);
  for (std::size_t size = 0; size < packed.size(); ++size) {
    INFO("cut to " << size);
    CHECK_FALSE(decode(std::string_view(packed).substr(0, size), 4096, end).ok());
  }
  CHECK_FALSE(decode(packed + "x", 4096, end).ok());
  PieceEnd other = end;
  other.digest[0] ^= std::byte{1};
  CHECK_FALSE(decode(packed, 4096, other).ok());
  other = end;
  other.size += 1;
  CHECK_FALSE(decode(packed, 4096, other).ok());
}
