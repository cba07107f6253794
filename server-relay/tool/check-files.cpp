/// Files, relays' ports and what a bootstrap needs.
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sys/stat.h>
#include <unistd.h>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <libssh2.h>
#include <nlohmann/json.hpp>

#include "common/config/secret-file.h"
#include "common/net/connect.h"
#include "server-relay/bootstrap/known-hosts.h"
#include "server-relay/bootstrap/run-now.h"
#include "server-relay/tool/check-surroundings.h"
#include "server-relay/tool/pair-client.h"

namespace pgtandem::tool {
namespace {

using Severity = Finding::Severity;

constexpr std::chrono::seconds kConnectLimit{3};
constexpr std::size_t kMinKeySize = 16;  ///< bytes, of the pair's key and the token

void check_secret(Findings& findings, const std::string& topic, const std::string& path,
                  std::size_t min_size) {
  const auto secret = read_secret_file(path, min_size);
  if (secret) {
    findings.push_back({Severity::good, topic, "'" + path + "' is readable and for its owner alone", {}});
  } else {
    findings.push_back(
        {Severity::error, topic, secret.error(), "chown it to the user that reads it, chmod 600"});
  }
}

/// libpq leaves a passfile out, without an error, if others may read it.
void check_passfile(Findings& findings, const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || ::access(path.c_str(), R_OK) != 0) {
    findings.push_back({Severity::error, "service.passfile",
                        "cannot read '" + path + "': " + std::strerror(errno),
                        "create it with lines host:port:database:user:password, chmod 600"});
  } else if (!S_ISREG(info.st_mode) || (info.st_mode & 077U) != 0) {
    findings.push_back({Severity::error, "service.passfile",
                        "'" + path + "' can be read by others than its owner, so libpq does not use it",
                        "chmod 600"});
  } else {
    findings.push_back(
        {Severity::good, "service.passfile", "'" + path + "' is readable and for its owner alone", {}});
  }
}

void check_state_dir(Findings& findings, const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
    findings.push_back({Severity::warning, "state_dir", "there is no folder '" + path + "' on this host",
                        "create it for the relay's user, on both hosts"});
  } else if ((info.st_mode & 022U) != 0) {
    findings.push_back({Severity::error, "state_dir",
                        "'" + path + "' can be changed by others than its owner", "chmod 700"});
  } else {
    findings.push_back({Severity::good, "state_dir", "'" + path + "' exists", {}});
  }
}

Result<void> connects(const Endpoint& server) {
  auto work = [](Endpoint to) -> asio::awaitable<Result<bool>> {
    auto socket = co_await connect_tcp(to, std::chrono::steady_clock::now() + kConnectLimit);
    if (!socket) co_return Error{socket.error()};
    co_return true;
  };
  const Result<bool> connected = bootstrap::run_now(work(server));
  if (!connected) return Error{connected.error()};
  return {};
}

bool host_key_known(const std::string& host, int port, const std::string& file) {
  LIBSSH2_SESSION* session = libssh2_init(0) == 0 ? libssh2_session_init() : nullptr;
  if (!session) return false;
  bool known = false;
  {
    const bootstrap::KnownHosts hosts(session, file);
    known = !hosts.preferred_algorithms(host, port).empty();
  }
  libssh2_session_free(session);
  return known;
}

void check_ssh_key(Findings& findings, const ToolSettings& settings) {
  if (settings.ssh_key.empty()) {
    const bool agent = std::getenv("SSH_AUTH_SOCK") != nullptr;
    findings.push_back({agent ? Severity::good : Severity::warning, "bootstrap.ssh_key",
                        agent ? "an ssh agent is there" : "no key is set and no ssh agent is there",
                        agent ? "" : "set bootstrap.ssh_key, or start an agent before pgtandem bootstrap"});
    return;
  }
  struct stat info {};
  if (::stat(settings.ssh_key.c_str(), &info) != 0 || ::access(settings.ssh_key.c_str(), R_OK) != 0) {
    findings.push_back({Severity::error, "bootstrap.ssh_key",
                        "cannot read '" + settings.ssh_key + "': " + std::strerror(errno),
                        "create a key with ssh-keygen, or correct the path"});
  } else if ((info.st_mode & 077U) != 0) {
    findings.push_back({Severity::error, "bootstrap.ssh_key",
                        "'" + settings.ssh_key + "' can be read by others than its owner", "chmod 600"});
  } else {
    findings.push_back({Severity::good, "bootstrap.ssh_key", "'" + settings.ssh_key + "' is there", {}});
  }
}

void check_dump_tool(Findings& findings, const std::string& folder) {
  const std::string program = folder.empty() ? "pg_dump" : folder + "/pg_dump";
  bool found = false;
  if (!folder.empty()) {
    found = ::access(program.c_str(), X_OK) == 0;
  } else if (const char* path = std::getenv("PATH")) {
    std::string_view rest = path;
    while (!found && !rest.empty()) {
      const std::string_view part = rest.substr(0, rest.find(':'));
      found = !part.empty() && ::access((std::string(part) + "/pg_dump").c_str(), X_OK) == 0;
      rest = part.size() == rest.size() ? std::string_view{} : rest.substr(part.size() + 1);
    }
  }
  findings.push_back({found ? Severity::good : Severity::warning, "bootstrap.pg_bin",
                      found ? "'" + program + "' is there" : "there is no '" + program + "' on this host",
                      found ? "" : "install the PostgreSQL client programs, or set bootstrap.pg_bin"});
}

}  // namespace

Findings check_files(const ToolSettings& settings, const std::optional<RelaySettings>& relay) {
  Findings findings;
  if (settings.token_file.empty()) {
    findings.push_back({Severity::warning, "control.token_file", "none is set: every command is refused",
                        "create one: openssl rand -hex 32, chmod 600, the same on both hosts"});
  } else {
    check_secret(findings, "control.token_file", settings.token_file, kMinKeySize);
  }
  if (settings.service.user.empty()) {
    findings.push_back(
        {Severity::warning, "service.user",
         "none is set: SCRAM logins to the standby, takeover and "
         "bootstrap do not work",
         "create a superuser of that name on both servers and set [service] user and passfile"});
  } else if (!settings.service.passfile.empty()) {
    check_passfile(findings, settings.service.passfile);
  }
  if (!relay) return findings;
  if (!relay->key_file.empty()) check_secret(findings, "pair.key_file", relay->key_file, kMinKeySize);
  check_state_dir(findings, relay->state_dir);
  return findings;
}

Findings check_tokens(const Context& context, const PairStatus& pair) {
  Findings findings;
  if (context.settings.token_file.empty()) return findings;
  for (const RelayStatus& relay : pair) {
    if (!relay.view) continue;
    const std::string topic = "token at " + relay.control_port;
    try {
      const CommandAnswer answer = send_command(context, relay, "token", nlohmann::json::object());
      if (answer.ok) {
        findings.push_back({Severity::good, topic, "accepted", {}});
      } else {
        findings.push_back({Severity::error, topic, answer.error, answer.what_to_do});
      }
    } catch (const Failure& failure) {
      findings.push_back({Severity::error, topic, failure.text.substr(0, failure.text.find('\n')),
                          "use the same token file on both hosts and here"});
    }
  }
  return findings;
}

Findings check_relay_ports(const ToolSettings& settings) {
  Findings findings;
  for (const RelayAddress& relay : settings.relays) {
    const Endpoint port{relay.host, relay.relay_port};
    const std::string topic = "relay " + to_string(port);
    const Result<void> connected = connects(port);
    if (connected) {
      findings.push_back({Severity::good, topic, "takes connections", {}});
    } else {
      findings.push_back(
          {Severity::error, topic, connected.error(), "see [listen] frontends and the firewall"});
    }
  }
  return findings;
}

Findings check_bootstrap(const ToolSettings& settings) {
  Findings findings;
  check_dump_tool(findings, settings.pg_bin);
  check_ssh_key(findings, settings);
  for (const NodeSettings* node : {&settings.a, &settings.b}) {
    if (node->host.empty() || is_this_host(node->host)) continue;
    const Endpoint ssh{node->host, settings.ssh_port};
    const Result<void> connected = connects(ssh);
    if (!connected) {
      findings.push_back({Severity::warning, "ssh " + to_string(ssh), connected.error(),
                          "start sshd there, or set bootstrap.ssh_port"});
    } else if (!host_key_known(node->host, settings.ssh_port, settings.known_hosts)) {
      findings.push_back({Severity::warning, "ssh " + to_string(ssh), "its host key is not in known_hosts",
                          "compare and add it: ssh -p " + std::to_string(settings.ssh_port) + " " +
                              settings.ssh_user + "@" + node->host});
    } else {
      findings.push_back({Severity::good, "ssh " + to_string(ssh), "reachable, host key known", {}});
    }
  }
  return findings;
}

}  // namespace pgtandem::tool
