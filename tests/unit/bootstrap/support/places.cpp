#include "tests/unit/bootstrap/support/places.h"

#include <arpa/inet.h>
#include <cstdlib>
#include <fstream>
#include <netinet/in.h>
#include <signal.h>
#include <sstream>
#include <sys/socket.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include <catch2/catch.hpp>

namespace pgtandem::bootstrap::testing {
namespace {

/// setpriv, so that a test that is killed takes its servers along.
std::vector<std::string> tied_to_us(const std::vector<std::string>& argv, const std::string& user) {
  std::vector<std::string> out = {"setpriv", "--pdeathsig", "INT"};
  if (!user.empty()) out.insert(out.end(), {"--reuid", user, "--regid", user, "--init-groups"});
  out.emplace_back("--");
  out.insert(out.end(), argv.begin(), argv.end());
  return out;
}

ChildProcess start(const std::vector<std::string>& argv, const std::string& user) {
  ChildOptions options;
  options.argv = tied_to_us(argv, user);
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string variable = *entry;
    if (!variable.starts_with("PG") && !variable.starts_with("SSH_")) options.environment.push_back(variable);
  }
  options.pipe_stdout = true;
  Result<ChildProcess> child = ChildProcess::start(options);
  if (!child) throw std::runtime_error(child.error());
  return std::move(*child);
}

}  // namespace

Folder::Folder() {
  std::string name = "/tmp/pgtandem-bootstrap-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no folder below /tmp");
  ::chmod(name.c_str(), 0755);
  path_ = name;
}

Folder::~Folder() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

std::string Folder::path(const std::string& name) const {
  return name.empty() ? path_ : path_ / name;
}

std::string Folder::write(const std::string& name, const std::string& content, unsigned mode) const {
  std::ofstream(path(name)) << content;
  ::chmod(path(name).c_str(), mode);
  return path(name);
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ::bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(fd);
  return ntohs(address.sin_port);
}

Program::Program(const std::vector<std::string>& argv, const std::string& user) : child_(start(argv, user)) {}

const std::string& Program::output() {
  for (std::size_t before = out_.size() + 1; before != out_.size();) {
    before = out_.size();
    child_.read_stdout(out_, 65536);
  }
  return out_;
}

Outcome Program::finish(std::chrono::seconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (running() && std::chrono::steady_clock::now() < deadline) {
    output();
    child_.drain_stderr();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const bool in_time = !running();
  Outcome outcome;
  outcome.status = child_.wait(std::chrono::milliseconds(0)).status;
  outcome.out = output();
  outcome.err = child_.error_text();
  INFO(outcome.out << "\n" << outcome.err);
  REQUIRE(in_time);
  return outcome;
}

void Program::signal(int number) const {
  ::kill(child_.pid(), number);
}

Outcome run(const std::vector<std::string>& argv, const std::string& user, std::chrono::seconds limit) {
  return Program(argv, user).finish(limit);
}

void await(const std::string& what, const std::function<bool()>& condition, std::chrono::seconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) FAIL("waited in vain until " << what);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

std::vector<pid_t> children_of(pid_t pid) {
  std::istringstream in(
      read_file("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children"));
  std::vector<pid_t> out;
  for (pid_t child = 0; in >> child;) out.push_back(child);
  return out;
}

}  // namespace pgtandem::bootstrap::testing
