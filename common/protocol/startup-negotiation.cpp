#include "common/protocol/startup-negotiation.h"

#include <utility>

#include "common/protocol/error-response.h"

namespace pgtandem {
namespace {

// Requests for encryption look like protocol 1234.5679 and 1234.5680.
constexpr std::uint16_t kRequestMajor = 1234;
constexpr std::uint16_t kSslMinor = 5679;
constexpr std::uint16_t kGssEncMinor = 5680;
constexpr std::uint16_t kSupportedMajor = 3;

/// As PostgreSQL words it; 3.2 is what the newest server knows, and the servers themselves negotiate what is
/// below.
std::string unsupported(std::uint16_t major, std::uint16_t minor) {
  return "unsupported frontend protocol " + std::to_string(major) + "." + std::to_string(minor) +
         ": server supports 3.0 to 3.2";
}

}  // namespace

std::string_view to_string(StartupNegotiation::State state) {
  switch (state) {
    case StartupNegotiation::State::waiting:
      return "waiting for a startup packet";
    case StartupNegotiation::State::tls:
      return "waiting for a startup packet within TLS";
    case StartupNegotiation::State::started:
      return "started";
    case StartupNegotiation::State::cancelling:
      return "cancelling";
    case StartupNegotiation::State::refused:
      return "refused";
  }
  return "unknown";
}

StartupNegotiation::Step StartupNegotiation::feed(ByteSpan arrived) {
  ParsedStartup parsed = parse_startup(arrived);
  if (std::holds_alternative<SslRequest>(parsed.packet)) {
    return on_encryption_request(kSslMinor, parsed.consumed, arrived);
  }
  if (std::holds_alternative<GssEncRequest>(parsed.packet)) {
    return on_encryption_request(kGssEncMinor, parsed.consumed, arrived);
  }
  if (auto* request = std::get_if<CancelRequest>(&parsed.packet)) {
    cancel_ = std::move(*request);
    state_ = State::cancelling;
    return {Action::cancel, parsed.consumed, {}};
  }
  if (auto* message = std::get_if<StartupMessage>(&parsed.packet)) {
    return on_startup(std::move(*message), parsed.consumed);
  }
  if (auto* error = std::get_if<StartupError>(&parsed.packet)) {
    return refuse(std::move(error->message), error->sqlstate);
  }
  return {};
}

StartupNegotiation::Step StartupNegotiation::on_encryption_request(std::uint16_t minor, std::size_t consumed,
                                                                   ByteSpan arrived) {
  const bool ssl = minor == kSslMinor;
  bool& done = ssl ? ssl_done_ : gss_done_;
  // PostgreSQL takes a request that it no longer expects for a protocol version, and so does this text.
  if (done || state_ != State::waiting) return refuse(unsupported(kRequestMajor, minor), "0A000");
  if (arrived.size() != consumed) {
    return refuse(
        std::string("received unencrypted data after ") + (ssl ? "SSL" : "GSSAPI encryption") + " request",
        "08P01",
        "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.");
  }
  done = true;
  const EncryptionAnswer answer = ssl ? ssl_answer_ : EncryptionAnswer::refuse;
  if (answer == EncryptionAnswer::tls) state_ = State::tls;
  return {answer == EncryptionAnswer::tls ? Action::begin_tls : Action::answer, consumed,
          std::string(1, char(answer))};
}

StartupNegotiation::Step StartupNegotiation::on_startup(StartupMessage message, std::size_t consumed) {
  if (message.major != kSupportedMajor) return refuse(unsupported(message.major, message.minor), "0A000");
  if (startup_user(message).empty()) {
    return refuse("no PostgreSQL user name specified in startup packet", "28000");
  }
  startup_ = std::move(message);
  state_ = State::started;
  return {Action::start, consumed, {}};
}

StartupNegotiation::Step StartupNegotiation::refuse(std::string message, std::string_view sqlstate,
                                                    std::string_view detail) {
  Step step{Action::refuse, 0, {}};
  if (!sqlstate.empty()) {
    step.reply = build_error_response({Severity::fatal, sqlstate, message, detail, {}});
  }
  refusal_ = std::move(message);
  state_ = State::refused;
  return step;
}

}  // namespace pgtandem
