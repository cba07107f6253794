/// A running `pgtandem load` on the target's host: its standard input, output and error, over ssh
/// (ssh-link.cpp) or as a child on the same host (local-link.cpp). Owned and used by one thread; nothing here
/// waits except where a time limit says so.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <poll.h>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace pgtandem::bootstrap {

class LoaderLink {
 public:
  virtual ~LoaderLink() = default;

  /// How many bytes were taken; 0: not now. What was not taken must be offered again, unchanged, in the next
  /// call.
  virtual Result<std::size_t> write(ByteSpan bytes) = 0;
  /// Appends what is there of its output; false at the end of it.
  virtual Result<bool> read(std::string& out) = 0;
  /// Nothing more will be written. Waits at most `limit`.
  virtual Result<void> close_input(std::chrono::milliseconds limit) = 0;
  /// Adds what to wait for. `have_output`: there are bytes to write.
  virtual void add_poll(std::vector<pollfd>& fds, bool have_output) const = 0;
  /// True where a write was started that must be finished before anything is read.
  virtual bool busy_writing() const { return false; }
  /// After the end of its output: the exit status (128 + n for a signal), or why none was seen.
  virtual Result<int> exit_status(std::chrono::milliseconds limit) = 0;
  /// The last of its standard error, fit for a message.
  virtual std::string error_text() = 0;
};

/// Where loaders are started.
class LoaderHost {
 public:
  virtual ~LoaderHost() = default;
  /// Starts `pgtandem load <arguments>`.
  virtual Result<std::unique_ptr<LoaderLink>> start(const std::vector<std::string>& arguments) = 0;
  /// For messages: "host b (192.168.1.2)" or "this host".
  virtual std::string name() const = 0;
};

/// Runs `pgtandem` (empty: this very program) on this host.
std::unique_ptr<LoaderHost> local_loader_host(std::string pgtandem);

struct SshOptions {
  std::string host;
  std::uint16_t port = 22;
  std::string user;
  std::string key_file;     ///< empty: the agent, then ~/.ssh/id_ed25519 and id_ecdsa
  std::string known_hosts;  ///< empty: ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts
  std::string pgtandem = "pgtandem";
  std::chrono::milliseconds connect_timeout{15000};
};

/// Connects and logs in. The error names the host and, for an unknown host key, its fingerprint and what to
/// do.
Result<std::unique_ptr<LoaderHost>> ssh_loader_host(const SshOptions& options);

}  // namespace pgtandem::bootstrap
