/// One ssh connection by libssh2: TCP, key exchange, host key, login. Non-blocking underneath; every step has
/// a limit.
///
/// Algorithms. The dump carries password verifiers, so the connection must be private and unchanged against
/// an active attacker. Wanted are AES-GCM ciphers; libssh2 1.10 (Debian 12) has none, they came with 1.11.
/// libssh2 1.10 also has no strict key exchange, so what the Terrapin attack (CVE-2023-48795) exploits must
/// not be chosen: chacha20-poly1305, and any cipher with an encrypt-then-MAC mode. Behind AES-GCM therefore
/// stand AES-CTR ciphers with plain (encrypt-and-MAC) hmac-sha2-512 and hmac-sha2-256: removing a message
/// there desynchronises the counter stream, and the next MAC fails. No CBC, no RC4, no SHA-1 and no MD5 is
/// offered. The SHA-256 over every piece (frames.h) and the comparison of both servers stand behind that.
#pragma once
#include <chrono>
#include <memory>
#include <string>

#include <libssh2.h>

#include "common/base/result.h"
#include "server-relay/bootstrap/loader-link.h"

namespace pgtandem::bootstrap {

/// Used by one thread. Ends the connection when destroyed.
class SshSession {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  static Result<std::unique_ptr<SshSession>> connect(const SshOptions& options);
  ~SshSession();
  SshSession(const SshSession&) = delete;
  SshSession& operator=(const SshSession&) = delete;

  LIBSSH2_SESSION* handle() const { return session_; }
  int socket() const { return socket_; }
  /// "aes256-ctr, hmac-sha2-512"
  std::string algorithms() const;
  /// What libssh2 said last.
  std::string last_error() const;

  /// Calls `step` until it gives something else than LIBSSH2_ERROR_EAGAIN, waiting for the socket in between;
  /// a time-out, a stop signal and a negative answer are errors that begin with `what`.
  template <typename Step>
  Result<int> complete(const std::string& what, Deadline deadline, Step step) {
    for (;;) {
      const int status = step();
      if (status >= 0) return status;
      if (status != LIBSSH2_ERROR_EAGAIN) return Error{what + ": " + last_error()};
      const Result<void> ready = wait(what, deadline);
      if (!ready) return Error{ready.error()};
    }
  }

 private:
  SshSession() = default;

  Result<void> wait(const std::string& what, Deadline deadline) const;
  Result<void> offer_algorithms(const std::string& host_keys);
  Result<void> log_in(const SshOptions& options, Deadline deadline);
  Result<bool> try_agent(const SshOptions& options, Deadline deadline);
  Result<void> try_key_file(const SshOptions& options, const std::string& file, Deadline deadline);

  int socket_ = -1;
  LIBSSH2_SESSION* session_ = nullptr;
};

}  // namespace pgtandem::bootstrap
