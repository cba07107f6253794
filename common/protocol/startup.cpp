#include "common/protocol/startup.h"

#include <algorithm>
#include <array>

namespace pgtandem {
namespace {

constexpr std::uint32_t kCancelCode = 80877102;  // 1234.5678: a major version that will never be one
constexpr std::uint32_t kSslCode = 80877103;
constexpr std::uint32_t kGssEncCode = 80877104;
constexpr std::size_t kLengthSize = 4;
constexpr std::size_t kHeaderSize = 8;        // length and code
constexpr std::size_t kCancelKeyOffset = 12;  // header and pid

ParsedStartup refuse(std::string message, std::string sqlstate = {}) {
  return {StartupError{std::move(message), std::move(sqlstate)}, 0};
}

/// The smallest length that the bytes here still allow: those that are missing could be zero.
std::size_t least_length(ByteSpan arrived) {
  std::array<std::byte, kLengthSize> word{};
  std::copy_n(arrived.begin(), std::min(arrived.size(), kLengthSize), word.begin());
  return load_u32(word.data());
}

ParsedStartup refuse_length(ByteSpan arrived, std::size_t length) {
  constexpr auto kTlsHandshake = std::byte(0x16);
  if (arrived.front() == kTlsHandshake) {
    return refuse(
        "invalid length of startup packet: these are the bytes of a TLS handshake without SSLRequest "
        "(sslnegotiation=direct), which is not supported here; use sslnegotiation=postgres");
  }
  return refuse("invalid length of startup packet: at least " + std::to_string(length) +
                " bytes, allowed are " + std::to_string(kHeaderSize) + " to " +
                std::to_string(kLengthSize + kMaxStartupPacket));
}

ParsedStartup parse_cancel(ByteSpan packet) {
  CancelRequest request;
  request.pid = load_u32(packet.data() + kHeaderSize);
  request.key = Secret(as_text(packet.subspan(kCancelKeyOffset)));
  return {std::move(request), packet.size()};
}

/// Name and value pairs up to the terminator, which must be the last byte.
bool parse_parameters(ByteSpan body, StartupParameters& parameters) {
  ByteReader reader(body);
  for (;;) {
    const std::string_view name = reader.c_string();
    if (reader.failed()) return false;
    if (name.empty()) return reader.left() == 0;
    const std::string_view value = reader.c_string();
    if (reader.failed()) return false;
    parameters.emplace_back(name, value);
  }
}

ParsedStartup parse_message(ByteSpan packet, std::uint32_t version) {
  StartupMessage message;
  message.major = std::uint16_t(version >> 16);
  message.minor = std::uint16_t(version & 0xFFFF);
  if (message.major == 3 && !parse_parameters(packet.subspan(kHeaderSize), message.parameters)) {
    return refuse("invalid startup packet layout: expected terminator as last byte", "08P01");
  }
  message.raw = as_text(packet);
  return {std::move(message), packet.size()};
}

/// What the code says about the length, before the rest is waited for.
const char* wrong_length_for_code(std::uint32_t code, std::size_t length) {
  if ((code == kSslCode || code == kGssEncCode) && length != kHeaderSize) {
    return "invalid length of an encryption request: it has nothing behind its code";
  }
  if (code == kCancelCode && (length <= kCancelKeyOffset || length > kCancelKeyOffset + kMaxCancelKey)) {
    return "invalid length of cancel request: the key has 1 to 256 bytes";
  }
  return nullptr;
}

/// Whether PostgreSQL's parse_bool would read `value` as false: unambiguous beginnings of the words, any
/// case.
bool reads_as_false(std::string_view value) {
  std::string lower(value);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  }
  const auto begins = [&](std::string_view word, std::size_t at_least) {
    return lower.size() >= at_least && word.starts_with(lower);
  };
  return begins("false", 1) || begins("no", 1) || begins("off", 2) || lower == "0";
}

}  // namespace

ParsedStartup parse_startup(ByteSpan arrived) {
  if (arrived.empty()) return {NeedMore{}, 0};
  const std::size_t length = least_length(arrived);
  if (length > kLengthSize + kMaxStartupPacket) return refuse_length(arrived, length);
  if (arrived.size() < kLengthSize) return {NeedMore{}, 0};
  if (length < kHeaderSize) return refuse_length(arrived, length);
  if (arrived.size() < kHeaderSize) return {NeedMore{}, 0};

  const std::uint32_t code = load_u32(arrived.data() + kLengthSize);
  if (const char* what = wrong_length_for_code(code, length)) return refuse(what);
  if (arrived.size() < length) return {NeedMore{}, 0};

  const ByteSpan packet = arrived.first(length);
  if (code == kSslCode) return {SslRequest{}, length};
  if (code == kGssEncCode) return {GssEncRequest{}, length};
  if (code == kCancelCode) return parse_cancel(packet);
  return parse_message(packet, code);
}

std::string_view startup_parameter(const StartupMessage& message, std::string_view name) {
  const auto found = std::find_if(message.parameters.rbegin(), message.parameters.rend(),
                                  [&](const auto& parameter) { return parameter.first == name; });
  return found == message.parameters.rend() ? std::string_view() : std::string_view(found->second);
}

std::string_view startup_user(const StartupMessage& message) {
  return startup_parameter(message, "user");
}

std::string_view startup_database(const StartupMessage& message) {
  const std::string_view database = startup_parameter(message, "database");
  return database.empty() ? startup_user(message) : database;
}

bool is_replication(const StartupMessage& message) {
  const bool present = std::any_of(message.parameters.begin(), message.parameters.end(),
                                   [](const auto& parameter) { return parameter.first == "replication"; });
  return present && !reads_as_false(startup_parameter(message, "replication"));
}

std::string build_startup(std::uint16_t major, std::uint16_t minor, const StartupParameters& parameters) {
  ByteWriter body;
  body.u16(major).u16(minor);
  for (const auto& [name, value] : parameters) body.c_string(name).c_string(value);
  body.u8(0);
  ByteWriter packet;
  packet.u32(std::uint32_t(kLengthSize + body.str().size())).text(body.str());
  return packet.take();
}

Secret build_cancel(std::uint32_t pid, std::string_view key) {
  std::string packet(kCancelKeyOffset + key.size(), '\0');
  std::byte* out = reinterpret_cast<std::byte*>(packet.data());
  store_u32(out, std::uint32_t(packet.size()));
  store_u32(out + kLengthSize, kCancelCode);
  store_u32(out + kHeaderSize, pid);
  packet.replace(kCancelKeyOffset, key.size(), key);
  return Secret::take(packet);
}

}  // namespace pgtandem
