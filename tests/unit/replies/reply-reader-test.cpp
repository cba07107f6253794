#include "server-relay/replies/reply-reader.h"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace pgtandem;

namespace {

std::string message(char type, const std::string& body) {
  return ByteWriter().u8(std::uint8_t(type)).u32(std::uint32_t(body.size() + 4)).text(body).take();
}
std::string zero_terminated(std::initializer_list<std::string> fields) {
  std::string body;
  for (const std::string& f : fields) body.append(f).push_back('\0');
  return body;
}
std::string column(const std::string& name, std::uint32_t type, std::uint32_t table) {
  return ByteWriter().c_string(name).u32(table).u16(1).u32(type).u16(4).u32(0xFFFFFFFF).u16(0).take();
}
std::string row_description(std::uint32_t type, std::uint32_t table = 0, const std::string& name = "x") {
  return message('T', ByteWriter().u16(1).text(column(name, type, table)).take());
}
std::string error(const std::string& severity, const std::string& sqlstate, const std::string& text) {
  return message('E', zero_terminated({"S" + severity, "V" + severity, "C" + sqlstate, "M" + text}) +
                          std::string(1, '\0'));
}

/// Reads a stream that arrives in chunks of `chunk` bytes, keeping what the splitter leaves as the session
/// does.
std::vector<Outcome> read(const std::string& stream, std::size_t chunk,
                          std::size_t whole_limit = MessageSplitter::kWholeLimit) {
  ReplyReader reader(false);
  MessageSplitter splitter(whole_limit);
  std::vector<Outcome> outcomes;
  std::string kept;
  for (std::size_t at = 0; at < stream.size(); at += chunk) {
    kept += stream.substr(at, chunk);
    ByteSpan input = as_bytes(kept);
    while (const auto piece = splitter.next(input)) {
      if (const auto outcome = reader.on_piece(*piece)) outcomes.push_back(*outcome);
    }
    REQUIRE_FALSE(splitter.broken());
    kept = std::string(as_text(input));
  }
  CHECK(splitter.at_boundary());
  CHECK(kept.empty());
  return outcomes;
}

}  // namespace

TEST_CASE("a reply gives the same outcomes however it is cut") {
  const std::string stream = row_description(23) + message('D', std::string(3000, 'r')) +
                             message('D', "abc") + message('C', zero_terminated({"SELECT 2"})) +
                             error("ERROR", "23505", std::string(5000, 'm')) +
                             message('N', zero_terminated({"SNOTICE"})) + message('Z', "E");
  const std::vector<Outcome> expected = read(stream, stream.size());
  REQUIRE(expected.size() == 3);
  CHECK(expected[0].text.view() == "SELECT 2");
  CHECK(expected[0].tag_class == TagClass::read);
  CHECK(expected[0].rows == 2);
  CHECK(expected[1].sqlstate.view() == "23505");
  CHECK_FALSE(expected[1].fatal);
  CHECK(expected[2].status == 'E');
  for (std::size_t chunk = 1; chunk < 600; ++chunk) {
    const std::vector<Outcome> got = read(stream, chunk, chunk % 2 == 0 ? 16 : MessageSplitter::kWholeLimit);
    REQUIRE(got.size() == expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      CHECK(got[i].row_digest == expected[i].row_digest);
      CHECK(got[i].column_digest == expected[i].column_digest);
      CHECK(got[i].describe() == expected[i].describe());
    }
  }
}

TEST_CASE("the order of rows and the oids of tables do not count, names and types do") {
  const std::string a = message('D', "first");
  const std::string b = message('D', "second");
  const std::string done = message('C', zero_terminated({"SELECT 2"}));
  const auto digest = [&](const std::string& stream) { return read(stream + done, 4096)[0]; };
  CHECK(digest(a + b).row_digest == digest(b + a).row_digest);
  CHECK(digest(a + a).row_digest != digest(b + b).row_digest);
  CHECK(digest(row_description(23, 1)).column_digest == digest(row_description(23, 2)).column_digest);
  CHECK(digest(row_description(23)).column_digest != digest(row_description(25)).column_digest);
  CHECK(digest(row_description(23)).column_digest != digest(row_description(23, 0, "y")).column_digest);
  CHECK(digest(row_description(16400)).column_digest == digest(row_description(16500)).column_digest);
}

TEST_CASE("a FATAL error is told from an ERROR by the untranslated severity") {
  const std::string translated =
      message('E', zero_terminated({"SFATAL", "VERROR", "C57014", "Mx"}) + std::string(1, '\0'));
  CHECK_FALSE(read(translated, 4096)[0].fatal);
  CHECK(read(error("FATAL", "57P01", "gone"), 4096)[0].fatal);
}

TEST_CASE("COPY TO reads, COPY FROM writes, though their tags are alike") {
  const std::string tag = message('C', zero_terminated({"COPY 1"}));
  CHECK(read(message('H', std::string(3, '\0')) + message('d', "row") + tag, 4096)[0].tag_class ==
        TagClass::read);
  const auto in = read(message('G', std::string(3, '\0')) + tag, 4096);
  CHECK(in[0].kind == Outcome::Kind::copy_in);
  CHECK(in[1].tag_class == TagClass::other);
}

TEST_CASE("a length that cannot be breaks the stream at once, before anything is kept for it") {
  MessageSplitter splitter;
  const std::string low = ByteWriter().u8('D').u32(3).take();
  ByteSpan input = as_bytes(low);
  CHECK_FALSE(splitter.next(input).has_value());
  CHECK(splitter.broken());
  MessageSplitter other_splitter;
  const std::string high = ByteWriter().u8('D').u32(0x7FFFFFFF).take();
  input = as_bytes(high);
  CHECK_FALSE(other_splitter.next(input).has_value());
  CHECK(other_splitter.broken());
}
