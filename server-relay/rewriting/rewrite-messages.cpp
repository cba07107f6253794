#include "server-relay/rewriting/rewrite-messages.h"

#include <charconv>
#include <vector>

namespace pgtandem {
namespace {

constexpr std::size_t kMostParameters = 65535;  // counts are int16 without sign

struct ParseBody {
  std::string_view name;
  std::size_t declared = 0;
  ByteSpan types;
};

Result<ParseBody> read_parse(ByteSpan body) {
  ByteReader reader(body);
  ParseBody parse;
  parse.name = reader.c_string();
  reader.c_string();
  parse.declared = reader.u16();
  parse.types = reader.take(4 * parse.declared);
  if (reader.failed() || reader.left() != 0) return Error{"a malformed Parse message is not rewritten"};
  return parse;
}

struct BindBody {
  ByteSpan names;
  std::vector<std::uint16_t> formats;
  std::size_t values = 0;
  ByteSpan value_bytes;
  ByteSpan result_formats;
};

/// Formats of the result are checked by the server.
Result<BindBody> read_bind(ByteSpan body) {
  ByteReader reader(body);
  BindBody bind;
  reader.c_string();
  reader.c_string();
  bind.names = body.first(body.size() - reader.left());
  const std::size_t formats = reader.u16();
  if (formats * 2 > reader.left()) return Error{"a malformed Bind message is not rewritten"};
  for (std::size_t i = 0; i < formats; ++i) bind.formats.push_back(reader.u16());
  bind.values = reader.u16();
  const ByteSpan from = reader.rest();
  for (std::size_t i = 0; i < bind.values && !reader.failed(); ++i) {
    const std::uint32_t length = reader.u32();
    if (length != 0xFFFFFFFFU) reader.take(length);
  }
  if (reader.failed()) return Error{"a malformed Bind message is not rewritten"};
  bind.value_bytes = from.first(from.size() - reader.left());
  bind.result_formats = reader.rest();
  return bind;
}

/// No format, or one of text, holds for the added values too.
void write_formats(ByteWriter& out, const BindBody& bind, std::size_t added) {
  const bool all_text = bind.formats.empty() || (bind.formats.size() == 1 && bind.formats[0] == 0);
  if (all_text) {
    out.u16(0);
    return;
  }
  out.u16(std::uint16_t(bind.values + added));
  for (std::size_t i = 0; i < bind.values; ++i) out.u16(bind.formats[bind.formats.size() == 1 ? 0 : i]);
  for (std::size_t i = 0; i < added; ++i) out.u16(0);
}

RewrittenParse build_parse(const ParseBody& parse, unsigned original_parameters, RewrittenText text,
                           std::span<const std::uint32_t> added) {
  ByteWriter out;
  out.c_string(parse.name).c_string(text.text);
  const std::size_t types = added.empty() ? parse.declared : original_parameters + added.size();
  out.u16(std::uint16_t(types)).text(as_text(parse.types));
  if (!added.empty()) {
    for (std::size_t i = parse.declared; i < original_parameters; ++i) out.u32(0);
  }
  for (const std::uint32_t type : added) out.u32(type);
  return {out.take(), original_parameters, std::move(text.positions)};
}

std::string copied(ByteSpan body) {
  return std::string(as_text(body));
}

std::string restored(std::string_view digits, const PositionMap& positions) {
  std::size_t position = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), position);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::string(digits);
  return std::to_string(positions.original(position));
}

}  // namespace

Result<RewrittenParse> rewrite_parse(const RewritePlan& plan, ByteSpan body) {
  const Result<ParseBody> parse = read_parse(body);
  if (!parse) return Error{parse.error()};
  const unsigned original = plan.original_parameters(unsigned(parse->declared));
  if (original + plan.parameter_types().size() > kMostParameters) {
    return Error{"a statement with so many parameters is not rewritten: no more can be added"};
  }
  return build_parse(*parse, original, plan.parameter_text(original), plan.parameter_types());
}

Result<RewrittenParse> rewrite_parse(const RewritePlan& plan, ByteSpan body, RewriteValues values) {
  const Result<ParseBody> parse = read_parse(body);
  if (!parse) return Error{parse.error()};
  Result<RewrittenText> text = plan.text(values);
  if (!text) return Error{text.error()};
  return build_parse(*parse, plan.original_parameters(unsigned(parse->declared)), std::move(*text), {});
}

Result<std::string> rewrite_bind(ByteSpan body, unsigned original_parameters, RewriteValues values) {
  const Result<BindBody> bind = read_bind(body);
  if (!bind) return Error{bind.error()};
  const bool fits = bind->values == original_parameters &&
                    (bind->formats.size() <= 1 || bind->formats.size() == bind->values) &&
                    bind->values + values.size() <= kMostParameters;
  if (!fits)
    return Error{"a Bind message with another number of parameters than its statement is not rewritten"};
  ByteWriter out;
  out.text(as_text(bind->names));
  write_formats(out, *bind, values.size());
  out.u16(std::uint16_t(bind->values + values.size())).text(as_text(bind->value_bytes));
  for (const std::optional<std::string>& value : values) {
    out.u32(value ? std::uint32_t(value->size()) : 0xFFFFFFFFU);
    if (value) out.text(*value);
  }
  out.text(as_text(bind->result_formats));
  return out.take();
}

std::string cut_parameter_description(ByteSpan body, unsigned original_parameters) {
  ByteReader reader(body);
  const std::size_t count = reader.u16();
  if (reader.failed() || reader.left() != 4 * count || count < original_parameters) return copied(body);
  ByteWriter out;
  out.u16(std::uint16_t(original_parameters))
      .text(as_text(reader.take(4 * std::size_t(original_parameters))));
  return out.take();
}

std::string restore_position(ByteSpan body, const PositionMap& positions) {
  ByteReader reader(body);
  ByteWriter out;
  for (;;) {
    const char code = char(reader.u8());
    if (reader.failed()) return copied(body);
    out.u8(std::uint8_t(code));
    if (code == '\0') break;
    const std::string_view text = reader.c_string();
    if (reader.failed()) return copied(body);
    out.c_string(code == 'P' ? restored(text, positions) : std::string(text));
  }
  return reader.left() == 0 ? out.take() : copied(body);
}

namespace {

constexpr std::uint32_t kLoCreat = 957, kLoCreate = 715, kLoFromBytea = 3457;

/// FunctionCall: function:int32, formats:int16 {format:int16}*, arguments:int16 {length:int32 value}*,
/// format of the result:int16 ("Message Formats").
struct FirstArgument {
  std::uint32_t function = 0;
  bool binary = false;
  std::size_t begin = 0;  ///< of its length
  std::size_t end = 0;
  std::string_view value;
};

std::optional<FirstArgument> first_argument(ByteSpan body) {
  ByteReader reader(body);
  FirstArgument found;
  found.function = reader.u32();
  const std::uint16_t formats = reader.u16();
  for (std::uint16_t i = 0; i < formats; ++i) {
    const std::uint16_t format = reader.u16();
    if (i == 0) found.binary = format == 1;
  }
  if (reader.u16() == 0 || reader.failed()) return std::nullopt;
  found.begin = 4 + 2 + std::size_t(formats) * 2 + 2;
  const std::uint32_t length = reader.u32();
  if (reader.failed() || length == 0xFFFFFFFF) return std::nullopt;
  found.value = as_text(reader.take(length));
  found.end = found.begin + 4 + length;
  return reader.failed() ? std::nullopt : std::optional(found);
}

bool is_zero(const FirstArgument& argument) {
  return argument.binary ? argument.value == std::string_view("\0\0\0\0", 4) : argument.value == "0";
}

std::string big_endian(std::uint32_t number) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += char(number >> shift & 0xFF);
  return bytes;
}

}  // namespace

bool makes_large_object(ByteSpan function_call_body) {
  const std::optional<FirstArgument> first = first_argument(function_call_body);
  if (!first) return false;
  const bool names_oid = first->function == kLoCreate || first->function == kLoFromBytea;
  return first->function == kLoCreat || (names_oid && is_zero(*first));
}

std::optional<std::string> with_large_object(ByteSpan function_call_body, std::string_view oid) {
  const std::optional<FirstArgument> first = first_argument(function_call_body);
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(oid.data(), oid.data() + oid.size(), number);
  if (!first || error != std::errc() || end != oid.data() + oid.size()) return std::nullopt;
  const std::string_view body = as_text(function_call_body);
  const std::uint32_t function = first->function == kLoCreat ? kLoCreate : first->function;
  const std::string value = first->binary ? big_endian(number) : std::string(oid);
  std::string out = big_endian(function);
  out += body.substr(4, first->begin - 4);
  out += big_endian(std::uint32_t(value.size())) + value;
  out += body.substr(first->end);
  return out;
}

}  // namespace pgtandem
