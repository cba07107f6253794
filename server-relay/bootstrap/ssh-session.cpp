#include "server-relay/bootstrap/ssh-session.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server-relay/bootstrap/known-hosts.h"
#include "server-relay/bootstrap/sql-text.h"
#include "server-relay/bootstrap/ssh-key-file.h"
#include "server-relay/bootstrap/stop-signal.h"

namespace pgtandem::bootstrap {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kCiphers =
    "aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr";
constexpr const char* kMacs = "hmac-sha2-512,hmac-sha2-256";
constexpr const char* kKeyExchanges =
    "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,"
    "diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,diffie-hellman-group-exchange-sha256";
constexpr int kFirstWithRsaSha2 = 0x010B00;

/// A peer that takes nothing for this long is gone; TCP itself would wait a quarter of an hour.
constexpr unsigned kTcpUserTimeoutMs = 30000;
constexpr unsigned kKeepaliveSeconds = 15;

void tune(int fd) {
  const int on = 1;
  const unsigned timeout = kTcpUserTimeoutMs;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
}

int remaining_ms(SshSession::Deadline deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return left < 0 ? 0 : int(std::min<long long>(left, 60000));
}

/// Waits for `events` or the stop signal; 1 ready, 0 time-out, -1 stop.
int wait_for(int fd, short events, SshSession::Deadline deadline) {
  for (;;) {
    pollfd fds[2] = {{fd, events, 0}, {stop_fd(), POLLIN, 0}};
    const int limit = remaining_ms(deadline);
    const int ready = ::poll(fds, 2, limit);
    if (stop_requested()) return -1;
    if (ready > 0 && fds[0].revents != 0) return 1;
    if (limit == 0) return 0;
  }
}

Result<int> connect_one(const addrinfo& address, SshSession::Deadline deadline) {
  const int fd =
      ::socket(address.ai_family, address.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, address.ai_protocol);
  if (fd < 0) return Error{std::strerror(errno)};
  int error = 0;
  if (::connect(fd, address.ai_addr, address.ai_addrlen) != 0) {
    error = errno;
    if (error == EINPROGRESS) {
      const int ready = wait_for(fd, POLLOUT, deadline);
      socklen_t size = sizeof error;
      if (ready == 1) ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
      if (ready == 0) error = ETIMEDOUT;
      if (ready < 0) error = ECANCELED;
    }
  }
  if (error == 0) return fd;
  ::close(fd);
  return Error{std::strerror(error)};
}

Result<int> connect_tcp(const std::string& host, std::uint16_t port, SshSession::Deadline deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int found = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (found != 0) return Error{"the host name '" + host + "' is not known: " + ::gai_strerror(found)};
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, ::freeaddrinfo);
  std::string reason = "no address";
  for (const addrinfo* address = list; address != nullptr; address = address->ai_next) {
    const Result<int> fd = connect_one(*address, deadline);
    if (fd) return fd;
    reason = fd.error();
  }
  return Error{"no ssh connection to " + host + " port " + std::to_string(port) + ": " + reason +
               "; is sshd running there, and is the port right (--ssh-port)?"};
}

}  // namespace

SshSession::~SshSession() {
  if (session_ != nullptr) {
    // Best effort: the goodbye may wait as long as the other side does not read.
    libssh2_session_disconnect(session_, "done");
    libssh2_session_free(session_);
  }
  if (socket_ >= 0) ::close(socket_);
}

Result<void> SshSession::wait(const std::string& what, Deadline deadline) const {
  const int directions = libssh2_session_block_directions(session_);
  short events = POLLIN;
  if ((directions & LIBSSH2_SESSION_BLOCK_OUTBOUND) != 0) events |= POLLOUT;
  switch (wait_for(socket_, events, deadline)) {
    case 1:
      return {};
    case 0:
      return Error{what + ": no answer in time"};
    default:
      return Error{what + ": interrupted"};
  }
}

std::string SshSession::last_error() const {
  char* text = nullptr;
  libssh2_session_last_error(session_, &text, nullptr, 0);
  return text == nullptr ? "unknown error" : safe_excerpt(text);
}

std::string SshSession::algorithms() const {
  const char* cipher = libssh2_session_methods(session_, LIBSSH2_METHOD_CRYPT_CS);
  const char* mac = libssh2_session_methods(session_, LIBSSH2_METHOD_MAC_CS);
  return std::string(cipher == nullptr ? "?" : cipher) + ", " + (mac == nullptr ? "?" : mac);
}

Result<void> SshSession::offer_algorithms(const std::string& host_keys) {
  const std::pair<int, const char*> lists[] = {
      {LIBSSH2_METHOD_KEX, kKeyExchanges}, {LIBSSH2_METHOD_HOSTKEY, host_keys.c_str()},
      {LIBSSH2_METHOD_CRYPT_CS, kCiphers}, {LIBSSH2_METHOD_CRYPT_SC, kCiphers},
      {LIBSSH2_METHOD_MAC_CS, kMacs},      {LIBSSH2_METHOD_MAC_SC, kMacs}};
  for (const auto& [method, names] : lists) {
    if (libssh2_session_method_pref(session_, method, names) != 0) {
      return Error{"libssh2 " + std::string(libssh2_version(0)) + " knows none of " + names};
    }
  }
  return {};
}

Result<std::unique_ptr<SshSession>> SshSession::connect(const SshOptions& options) {
  static const int initialised = libssh2_init(0);
  if (initialised != 0) return Error{"libssh2 cannot be initialised"};
  const Deadline deadline = Clock::now() + options.connect_timeout;
  std::unique_ptr<SshSession> ssh(new SshSession());
  const Result<int> fd = connect_tcp(options.host, options.port, deadline);
  if (!fd) return Error{fd.error()};
  ssh->socket_ = *fd;
  tune(*fd);
  ssh->session_ = libssh2_session_init();
  if (ssh->session_ == nullptr) return Error{"no memory for an ssh session"};
  libssh2_session_set_blocking(ssh->session_, 0);
  const KnownHosts known_hosts(ssh->session_, options.known_hosts);
  const Result<void> offered =
      ssh->offer_algorithms(known_hosts.preferred_algorithms(options.host, options.port));
  if (!offered) return Error{offered.error()};
  const Result<int> shaken = ssh->complete("ssh key exchange with " + options.host, deadline, [&] {
    return libssh2_session_handshake(ssh->session_, ssh->socket_);
  });
  if (!shaken)
    return Error{shaken.error() + " (it needs an Ed25519 or ECDSA host key and AES-GCM or AES-CTR there)"};
  const Result<void> checked = known_hosts.check(options.host, options.port);
  if (!checked) return Error{checked.error()};
  const Result<void> logged_in = ssh->log_in(options, deadline);
  if (!logged_in) return Error{logged_in.error()};
  libssh2_keepalive_config(ssh->session_, 1, kKeepaliveSeconds);
  return ssh;
}

Result<void> SshSession::log_in(const SshOptions& options, Deadline deadline) {
  const std::string who = options.user + "@" + options.host;
  if (!options.key_file.empty()) return try_key_file(options, options.key_file, deadline);
  const Result<bool> by_agent = try_agent(options, deadline);
  if (!by_agent) return Error{by_agent.error()};
  if (*by_agent) return {};
  const char* home = std::getenv("HOME");
  std::string tried = "the agent";
  for (const char* name : {"id_ed25519", "id_ecdsa"}) {
    const std::string file = std::string(home == nullptr ? "" : home) + "/.ssh/" + name;
    std::error_code error;
    if (!std::filesystem::exists(file, error)) continue;
    const Result<void> by_file = try_key_file(options, file, deadline);
    if (by_file) return {};
    tried += ", " + file + " (" + by_file.error() + ")";
  }
  return Error{"ssh login as " + who + " was not possible with " + tried +
               "; name a key with --ssh-key, or load one into the agent with ssh-add"};
}

Result<bool> SshSession::try_agent(const SshOptions& options, Deadline deadline) {
  if (std::getenv("SSH_AUTH_SOCK") == nullptr) return false;
  const std::unique_ptr<LIBSSH2_AGENT, void (*)(LIBSSH2_AGENT*)> agent(libssh2_agent_init(session_),
                                                                       [](LIBSSH2_AGENT* a) {
                                                                         libssh2_agent_disconnect(a);
                                                                         libssh2_agent_free(a);
                                                                       });
  if (agent == nullptr || libssh2_agent_connect(agent.get()) != 0 ||
      libssh2_agent_list_identities(agent.get()) != 0) {
    return false;
  }
  libssh2_agent_publickey* identity = nullptr;
  while (libssh2_agent_get_identity(agent.get(), &identity, identity) == 0) {
    const Result<int> done = complete("ssh login by the agent", deadline, [&] {
      return libssh2_agent_userauth(agent.get(), options.user.c_str(), identity);
    });
    if (done) return true;
    if (stop_requested() || Clock::now() >= deadline) return Error{done.error()};
  }
  return false;
}

Result<void> SshSession::try_key_file(const SshOptions& options, const std::string& file, Deadline deadline) {
  const Result<SshKeyFile> key = inspect_key_file(file);
  if (!key) return Error{key.error()};
  if (key->encrypted) {
    return Error{"the ssh key " + file + " is encrypted: load it into the agent (ssh-add " + file +
                 ") and leave --ssh-key out"};
  }
  const std::string what = "ssh login as " + options.user + "@" + options.host + " with the key " + file;
  const Result<int> done = complete(what, deadline, [&] {
    return libssh2_userauth_publickey_fromfile_ex(
        session_, options.user.c_str(), unsigned(options.user.size()), nullptr, file.c_str(), nullptr);
  });
  if (done) return {};
  std::string hint = "; is its public half in ~" + options.user + "/.ssh/authorized_keys there?";
  if (key->rsa && LIBSSH2_VERSION_NUM < kFirstWithRsaSha2) {
    hint =
        "; this libssh2 signs with RSA keys by SHA-1 only, which sshd refuses: use an Ed25519 key "
        "(ssh-keygen -t ed25519)";
  }
  return Error{done.error() + hint};
}

}  // namespace pgtandem::bootstrap
