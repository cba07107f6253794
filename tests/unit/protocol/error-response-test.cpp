#include "common/protocol/error-response.h"

#include <catch2/catch.hpp>

using namespace pgtandem;

TEST_CASE("an ErrorResponse is built as PostgreSQL's manual draws it") {
  const std::string built = build_error_response({Severity::fatal, "08004", "no", {}, {}});
  const std::string body("SFATAL\0VFATAL\0C08004\0Mno\0\0", 26);
  CHECK(built == "E" + std::string("\0\0\0\x1e", 4) + body);
  CHECK(build_ready_for_query('T') == std::string("Z\0\0\0\5T", 6));
}

TEST_CASE(
    "detail and hint are sent where there are some, and a NUL ends a text without breaking the message") {
  const std::string built =
      build_error_response({Severity::error, "40001", std::string_view("a\0b", 3), "why", "what to do"});
  CHECK(built.find(std::string("Dwhy\0Hwhat to do\0\0", 18)) != std::string::npos);
  const auto parsed = parse_error_response(as_bytes(built).subspan(5));
  REQUIRE(parsed.ok());
  CHECK(parsed->severity == "ERROR");
  CHECK(parsed->sqlstate == "40001");
  CHECK(parsed->message == "a");
}

TEST_CASE(
    "the untranslated severity wins wherever it stands, and the translated one serves where it is missing") {
  CHECK(parse_error_response(as_bytes(std::string("VFATAL\0SFATALE\0C28P01\0Mx\0\0", 26)))->severity ==
        "FATAL");
  CHECK(parse_error_response(as_bytes(std::string("SFATALE\0VFATAL\0C28P01\0Mx\0\0", 26)))->severity ==
        "FATAL");
  CHECK(parse_error_response(as_bytes(std::string("SFATALE\0\0", 9)))->severity == "FATALE");
}

TEST_CASE("a server's text is cut at its bound, between characters") {
  std::string message(kMaxErrorText - 1, 'x');
  message += "\xc3\xa9 and more";
  const std::string built = build_error_response({Severity::error, "XX000", message, {}, {}});
  CHECK(parse_error_response(as_bytes(built).subspan(5))->message == std::string(kMaxErrorText - 1, 'x'));
  const std::string fits = std::string(kMaxErrorText - 2, 'x') + "\xc3\xa9";
  const std::string built_fits = build_error_response({Severity::error, "XX000", fits + "y", {}, {}});
  CHECK(parse_error_response(as_bytes(built_fits).subspan(5))->message == fits);
}

TEST_CASE("an error message cut at any length, or with something behind it, is refused") {
  const std::string built = build_error_response({Severity::fatal, "57P03", "starting up", "d", "h"});
  const ByteSpan body = as_bytes(built).subspan(5);
  for (std::size_t cut = 0; cut < body.size(); ++cut) CHECK_FALSE(parse_error_response(body.first(cut)).ok());
  CHECK(parse_error_response(body).ok());
  const std::string longer = std::string(as_text(body)) + "x";
  CHECK_FALSE(parse_error_response(as_bytes(longer)).ok());
}
