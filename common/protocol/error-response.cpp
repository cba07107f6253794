#include "common/protocol/error-response.h"

#include "common/protocol/messages.h"

namespace pgtandem {
namespace {

void append_field(ByteWriter& out, char code, std::string_view text) {
  out.u8(std::uint8_t(code)).c_string(text.substr(0, text.find('\0')));
}

/// At most kMaxErrorText bytes, without half a UTF-8 character at the end.
std::string_view cut(std::string_view text) {
  if (text.size() <= kMaxErrorText) return text;
  std::size_t size = kMaxErrorText;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U) --size;
  return text.substr(0, size);
}

}  // namespace

std::string build_error_response(const ErrorReport& report) {
  const std::string_view severity = report.severity == Severity::fatal ? "FATAL" : "ERROR";
  ByteWriter body;
  append_field(body, 'S', severity);
  append_field(body, 'V', severity);
  append_field(body, 'C', report.sqlstate);
  append_field(body, 'M', report.message);
  if (!report.detail.empty()) append_field(body, 'D', report.detail);
  if (!report.hint.empty()) append_field(body, 'H', report.hint);
  body.u8(0);
  return build_message('E', body.str());
}

std::string build_ready_for_query(char status) {
  return build_message('Z', std::string_view(&status, 1));
}

Result<ServerError> parse_error_response(ByteSpan body) {
  ServerError error;
  std::string_view translated;
  ByteReader reader(body);
  for (;;) {
    const char code = char(reader.u8());
    if (reader.failed()) return Error{"an error message of the server ends without its terminator"};
    if (code == '\0') break;
    const std::string_view text = reader.c_string();
    if (reader.failed()) return Error{"an error message of the server ends inside a field"};
    if (code == 'V') error.severity = cut(text);
    if (code == 'S') translated = cut(text);
    if (code == 'C') error.sqlstate = cut(text);
    if (code == 'M') error.message = cut(text);
  }
  if (reader.left() != 0) return Error{"an error message of the server goes on behind its terminator"};
  if (error.severity.empty()) error.severity = translated;
  return error;
}

}  // namespace pgtandem
