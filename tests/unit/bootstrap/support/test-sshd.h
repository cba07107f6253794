/// A real sshd on loopback, with its own host key, that lets root in by one key.
#pragma once
#include <memory>
#include <string>

#include "tests/unit/bootstrap/support/places.h"

namespace pgtandem::bootstrap::testing {

class TestSshd {
 public:
  /// `options`: further lines of sshd_config.
  TestSshd(const Folder& folder, const std::string& options = {});
  ~TestSshd();

  std::uint16_t port() const { return port_; }
  std::string client_key() const { return client_key_; }
  /// A known_hosts file with the right key.
  std::string known_hosts() const { return known_hosts_; }
  /// The same with another key; with a key of another type only; empty.
  std::string wrong_known_hosts() const;
  std::string empty_known_hosts() const;
  /// Kills every connection's processes with SIGKILL; the listener lives.
  void kill_connections() const;
  std::string log() const { return read_file(folder_.path("sshd.log")); }

 private:
  const Folder& folder_;
  std::uint16_t port_;
  std::string client_key_;
  std::string known_hosts_;
  std::unique_ptr<Program> program_;
};

}  // namespace pgtandem::bootstrap::testing
