/// The goal of this target: whatever a frontend sends first, in whatever pieces, the negotiation ends in the
/// same place as in one piece, and takes no byte that it was not given.
#include <cstdint>
#include <cstdlib>
#include <variant>

#include "common/protocol/startup-negotiation.h"

using namespace pgtandem;

namespace {

void require(bool promise) {
  if (!promise) std::abort();
}

bool goes_on(StartupNegotiation::Action action) {
  return action == StartupNegotiation::Action::answer || action == StartupNegotiation::Action::begin_tls;
}

/// What was decided after all of `input`, given up to `piece` bytes more at a time. As the driver does, an
/// answer is followed only by what was not there before it.
StartupNegotiation::State negotiate(ByteSpan input, std::size_t piece, EncryptionAnswer ssl) {
  StartupNegotiation negotiation(ssl);
  std::size_t begin = 0;
  for (std::size_t end = std::min(piece, input.size());; end = std::min(end + piece, input.size())) {
    const auto step = negotiation.feed(input.subspan(begin, end - begin));
    require(step.consumed <= end - begin);
    begin += step.consumed;
    if (!goes_on(step.action) && step.action != StartupNegotiation::Action::read_more) break;
    if (end == input.size()) break;
  }
  return negotiation.state();
}

void check_packet(ByteSpan input) {
  const ParsedStartup parsed = parse_startup(input);
  require(parsed.consumed <= input.size());
  if (const auto* message = std::get_if<StartupMessage>(&parsed.packet)) {
    require(message->raw == as_text(input.first(parsed.consumed)));
    (void)is_replication(*message);
    (void)startup_database(*message);
    if (message->major == 3) {
      // Built again from its parts it is the same packet.
      require(build_startup(message->major, message->minor, message->parameters) == message->raw);
    }
  }
  if (const auto* cancel = std::get_if<CancelRequest>(&parsed.packet)) {
    require(build_cancel(cancel->pid, cancel->key.reveal()).reveal() ==
            as_text(input.first(parsed.consumed)));
  }
  // A shorter beginning never gives another packet: it waits, or is refused already.
  if (parsed.consumed > 0) {
    require(std::holds_alternative<NeedMore>(parse_startup(input.first(parsed.consumed - 1)).packet));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan input(reinterpret_cast<const std::byte*>(data), size);
  check_packet(input);
  for (const EncryptionAnswer ssl : {EncryptionAnswer::refuse, EncryptionAnswer::tls}) {
    const auto by_bytes = negotiate(input, 1, ssl);
    (void)negotiate(input, 7, ssl);
    (void)negotiate(input, input.size() + 1, ssl);
    // Without a request for encryption, pieces make no difference.
    const StartupPacket first = parse_startup(input).packet;
    if (std::holds_alternative<StartupMessage>(first) || std::holds_alternative<CancelRequest>(first)) {
      require(by_bytes == negotiate(input, input.size(), ssl));
    }
  }
  return 0;
}
