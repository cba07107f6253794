/// Watches the login of a frontend at the master, which the relay passes on verbatim, and keeps what logs in
/// to the standby afterwards.
///
///   m->f 'R' request     f->m 'p' answer     ...     m->f 'R' 0 (AuthenticationOk), or 'E'
///
///   the master asked for     held when it said yes       completed with rolpassword into
///   nothing (trust, ...)     nothing                     (not needed) OwnRight
///   password                 the password                (not needed) ClearPassword
///   md5                      salt and answer             StoredMd5, checked against the answer
///   SCRAM-SHA-256(-PLUS)     the transcript              ScramKeys, checked against the verifier
///   gss, sspi, others        nothing                     (not needed) OwnRight
///
/// It never stops a login: what it does not understand, the master judges; only credential() then says why
/// there is none. SCRAM-SHA-256-PLUS reaches AuthenticationOk only where the relay presents the master's own
/// certificate (hard point 28), and is then as good as SCRAM-SHA-256; otherwise the master refuses it and
/// master_refusal() explains.
///
/// Pure; owned by one session, on its strand. Holds secrets until it is destroyed.
#pragma once
#include <array>
#include <optional>
#include <string>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/secret.h"
#include "common/protocol/auth-request.h"
#include "common/protocol/credential.h"
#include "common/protocol/error-response.h"
#include "common/protocol/scram.h"

namespace pgtandem {

class LoginObserver {
 public:
  enum class State {
    waiting_for_master,    ///< its next request, or its verdict
    waiting_for_frontend,  ///< its 'p' message; nothing else is due in either direction
    accepted,              ///< AuthenticationOk was seen: what follows is the session's
    refused,               ///< ErrorResponse was seen
  };

  /// A whole message from the master: 'R', 'E', 'v', 'N'; other types change nothing.
  void from_master(char type, ByteSpan body);
  /// A whole message from the frontend: 'p'. The driver passes one on only in waiting_for_frontend, so that
  /// no answer can overtake its request.
  void from_frontend(char type, ByteSpan body);

  State state() const { return state_; }
  /// What the master asked for; trust where it asked for nothing and said yes.
  AuthMethod method() const { return method_; }

  /// The master said yes, and the role's rolpassword at the master is needed to go on: give it to complete().
  bool needs_stored_password() const;
  /// `stored` is rolpassword. Fails where it does not fit what was overheard, and may then be tried again
  /// with one read afresh. Errors quote no part of it.
  Result<void> complete(const Secret& stored);
  /// What to log in to the standby with, after acceptance (and complete() where needed).
  Result<Credential> credential() const;

  /// Requires state() == refused: what the master said.
  const ServerError& refusal() const { return refusal_; }
  /// One sentence for the log, where a refusal by the master has a cause that lies in the relay being in
  /// between (channel binding); empty otherwise.
  std::string refusal_explanation() const;

 private:
  enum class SaslStep { none, client_first, server_first, client_final, done };

  void on_request(const AuthRequest& request);
  void on_accepted();
  void ask(AuthMethod method);
  void on_sasl_continue(std::string_view data);
  void on_password(ByteSpan body);
  void on_sasl_initial(ByteSpan body);
  void on_sasl_response(ByteSpan body);
  void note(const Result<void>& outcome);
  void give_up(std::string why);

  State state_ = State::waiting_for_master;
  AuthMethod method_ = AuthMethod::unknown;
  bool sasl_chosen_ = false;  ///< the frontend named its mechanism
  SaslStep sasl_step_ = SaslStep::none;
  std::array<std::byte, 4> md5_salt_{};
  Secret answer_;  ///< the password, or the answer to md5
  ScramTranscript transcript_;
  std::optional<Credential> credential_;
  std::string unusable_;  ///< why nothing can be had from this login
  ServerError refusal_;
};

std::string_view to_string(LoginObserver::State state);

}  // namespace pgtandem
