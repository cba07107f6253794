#include "tests/unit/bootstrap/support/test-sshd.h"

#include <signal.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>

namespace pgtandem::bootstrap::testing {
namespace {

std::string make_key(const Folder& folder, const std::string& name) {
  const std::string path = folder.path(name);
  REQUIRE(run({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path}).status == 0);
  return path;
}

std::string known_hosts_line(std::uint16_t port, const std::string& key) {
  const std::string text = read_file(key + ".pub");
  return "[127.0.0.1]:" + std::to_string(port) + " " + text.substr(0, text.find(' ', text.find(' ') + 1)) +
         "\n";
}

}  // namespace

TestSshd::TestSshd(const Folder& folder, const std::string& options) : folder_(folder), port_(free_port()) {
  ::mkdir("/run/sshd", 0755);
  const std::string host_key = make_key(folder, "host_key");
  client_key_ = make_key(folder, "client_key");
  folder.write("authorized_keys", read_file(client_key_ + ".pub"));
  known_hosts_ = folder.write("known_hosts", known_hosts_line(port_, host_key));
  const std::string conf = folder.write(
      "sshd_config",
      "Port " + std::to_string(port_) + "\nListenAddress 127.0.0.1\nHostKey " + host_key +
          "\nAuthorizedKeysFile " + folder.path("authorized_keys") +
          "\nPidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
          "KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nLogLevel VERBOSE\n" +
          options);
  program_ = std::make_unique<Program>(
      std::vector<std::string>{"/usr/sbin/sshd", "-D", "-f", conf, "-E", folder.path("sshd.log")});
  await("sshd listens", [&] { return log().find("Server listening") != std::string::npos; });
}

TestSshd::~TestSshd() {
  kill_connections();
  program_->signal(SIGTERM);
}

std::string TestSshd::wrong_known_hosts() const {
  if (!std::filesystem::exists(folder_.path("other_key"))) make_key(folder_, "other_key");
  return folder_.write("wrong_known_hosts", known_hosts_line(port_, folder_.path("other_key")));
}

std::string TestSshd::empty_known_hosts() const {
  return folder_.write("empty_known_hosts", "");
}

void TestSshd::kill_connections() const {
  for (const pid_t connection : children_of(const_cast<Program&>(*program_).child().pid()))
    ::kill(connection, SIGKILL);
}

}  // namespace pgtandem::bootstrap::testing
