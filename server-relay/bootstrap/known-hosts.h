/// Host keys of ssh servers, strictly: a key that is not in known_hosts, or is another one, ends the
/// connection.
#pragma once
#include <string>
#include <vector>

#include <libssh2.h>

#include "common/base/result.h"

namespace pgtandem::bootstrap {

class KnownHosts {
 public:
  /// `file` empty: ~/.ssh/known_hosts; with that one, /etc/ssh/ssh_known_hosts counts too. Files that are
  /// missing count as empty; lines that libssh2 cannot read are left out (and so give no trust).
  KnownHosts(LIBSSH2_SESSION* session, std::string file);
  ~KnownHosts();
  KnownHosts(const KnownHosts&) = delete;
  KnownHosts& operator=(const KnownHosts&) = delete;

  /// Host key algorithms to offer, those first of which a key is known for this host: a server with several
  /// keys then shows the one that can be checked.
  std::string preferred_algorithms(const std::string& host, int port) const;
  /// After the handshake. The error gives the fingerprint and the command.
  Result<void> check(const std::string& host, int port) const;

 private:
  void load(const std::string& path);

  LIBSSH2_SESSION* session_;
  LIBSSH2_KNOWNHOSTS* hosts_;
  std::string file_;                  ///< the one to add to
  std::vector<std::string> revoked_;  ///< base64 of keys marked @revoked, for whatever host
};

}  // namespace pgtandem::bootstrap
