/// The beginning of a frontend's connection up to its StartupMessage or CancelRequest: which requests for
/// encryption are answered how, and what is refused in PostgreSQL's words (PostgreSQL manual, "Message Flow":
/// "Start-up", "SSL Session Encryption", "GSSAPI Session Encryption").
///
///   f->r  SSLRequest      r->f 'N' (or 'S', then TLS)     at most once
///   f->r  GSSENCRequest   r->f 'N'                        at most once, before or after the other
///   f->r  StartupMessage or CancelRequest
///
/// Pure; owned by the driver of one connection, one strand. The driver keeps unconsumed bytes and calls
/// feed() with all of them after each read; it reads again only after the answer of a step has been written,
/// because a frontend has nothing to say until then.
#pragma once
#include <string>

#include "common/base/bytes.h"
#include "common/protocol/startup.h"

namespace pgtandem {

/// The byte that answers SSLRequest and GSSENCRequest.
enum class EncryptionAnswer : char { refuse = 'N', tls = 'S' };

class StartupNegotiation {
 public:
  enum class State {
    waiting,     ///< for the first or the next packet, in clear
    tls,         ///< TLS was granted: what is fed now has been decrypted
    started,     ///< startup() is there
    cancelling,  ///< cancel() is there
    refused,     ///< refusal() says why
  };
  enum class Action {
    read_more,  ///< the packet is not complete
    answer,     ///< write `reply`, then read
    begin_tls,  ///< write `reply` ('S'), make the TLS handshake, then read through it
    start,      ///< open the legs with startup()
    cancel,     ///< pass cancel() on, then close
    refuse,     ///< write `reply` unless empty, log refusal(), close
  };
  struct Step {
    Action action = Action::read_more;
    std::size_t consumed = 0;  ///< bytes to drop from the front of what was fed
    std::string reply;
  };

  explicit StartupNegotiation(EncryptionAnswer ssl_answer = EncryptionAnswer::refuse)
      : ssl_answer_(ssl_answer) {}

  /// Takes at most one packet from the front of `arrived`. After start, bytes behind the packet are the
  /// session's. Not to be called after start, cancel or refuse.
  Step feed(ByteSpan arrived);

  State state() const { return state_; }
  /// Requires state() == started.
  const StartupMessage& startup() const { return startup_; }
  /// Requires state() == cancelling.
  const CancelRequest& cancel() const { return cancel_; }
  /// One sentence for the log, once state() == refused.
  const std::string& refusal() const { return refusal_; }

 private:
  Step on_encryption_request(std::uint16_t minor, std::size_t consumed, ByteSpan arrived);
  Step on_startup(StartupMessage message, std::size_t consumed);
  Step refuse(std::string message, std::string_view sqlstate, std::string_view detail = {});

  EncryptionAnswer ssl_answer_;
  State state_ = State::waiting;
  bool ssl_done_ = false;
  bool gss_done_ = false;
  StartupMessage startup_;
  CancelRequest cancel_;
  std::string refusal_;
};

std::string_view to_string(StartupNegotiation::State state);

}  // namespace pgtandem
