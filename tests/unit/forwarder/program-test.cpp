/// The program itself: exit statuses, signals, memory.
#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <sys/wait.h>
#include <thread>

#include <catch2/catch.hpp>

#include "tests/unit/config/config-fixture.h"
#include "tests/unit/forwarder/fake-relay.h"
#include "tests/unit/forwarder/reports.h"

using namespace pgtandem;
using namespace pgtandem::test;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMemoryIsReal = false;  // sanitizers need many times the memory
#else
constexpr bool kMemoryIsReal = true;
#endif

/// The forwarder as a process, killed with the test at the latest. Its log goes to a file.
class Program {
 public:
  Program(const std::vector<std::string>& words, const std::string& log) {
    std::vector<std::string> all{PGTANDEM_FORWARDER};
    all.insert(all.end(), words.begin(), words.end());
    std::vector<char*> raw;
    for (std::string& word : all) raw.push_back(word.data());
    raw.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ != 0) return;
    const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(fd, 2);
    ::execv(raw[0], raw.data());
    ::_exit(127);
  }
  ~Program() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    wait();
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int number) const { ::kill(pid_, number); }
  int wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }
  long resident_kib() const {
    std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("VmRSS:")) return std::stol(line.substr(6));
    }
    return -1;
  }

 private:
  pid_t pid_ = 0;
};

std::string content_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// A port that was free a moment ago.
std::uint16_t free_port() {
  asio::io_context context;
  asio::ip::tcp::acceptor acceptor(context, {asio::ip::make_address("127.0.0.1"), 0});
  return acceptor.local_endpoint().port();
}

/// Connects as soon as the program listens.
std::unique_ptr<Application> connect_when_open(std::uint16_t port) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::chrono::steady_clock::now() < deadline) {
    try {
      return std::make_unique<Application>(Endpoint{"127.0.0.1", port});
    } catch (const std::system_error&) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));  // until another process listens
    }
  }
  FAIL("the forwarder does not listen");
  return nullptr;
}

}  // namespace

TEST_CASE("200 idle sessions need less than 24 MiB, and SIGTERM ends the program in order") {
  FakeRelay relay("a");
  relay.show(pair_status("a", "ALONE", 3, "a"));
  const TemporaryFolder folder;
  const std::uint16_t port = free_port();
  const RelayAddress address = relay.address();
  Program program(
      {"--relay",
       "127.0.0.1:" + std::to_string(address.relay_port) + "/" + std::to_string(address.control_port),
       "--listen", "127.0.0.1:" + std::to_string(port), "--state-file", folder.path("state")},
      folder.path("log"));
  std::vector<std::unique_ptr<Application>> sessions;
  for (int i = 0; i < 200; ++i) {
    sessions.push_back(connect_when_open(port));
    sessions.back()->send(std::string(50'000, 'x'));
    REQUIRE(sessions.back()->read(50'001).size() == 50'001);
  }
  const long resident = program.resident_kib();
  INFO("resident: " << resident << " KiB");
  CHECK(resident > 0);
  if (kMemoryIsReal) CHECK(resident < 24 * 1024);
  program.signal(SIGTERM);
  CHECK(program.wait() == 0);
  CHECK(sessions.front()->read_to_end().empty());
  const std::string log = content_of(folder.path("log"));
  for (const char* event : {"forwarder-started", "listening address=127.0.0.1:", "relay-answers",
                            "following relay=127.0.0.1:", "epoch=3", "forwarder-stopped sessions=200"}) {
    INFO(log << "\nlacks " << event);
    CHECK(contains(log, event));
  }
  CHECK(contains(content_of(folder.path("state")), record_payload(3, "a")));
}

TEST_CASE("the exit status tells what is wrong") {
  const TemporaryFolder folder;
  const std::string log = folder.path("log");
  const std::string relay = "127.0.0.1:1/1";
  CHECK(Program({}, log).wait() == 78);
  CHECK(contains(content_of(log), "no relay is known"));
  CHECK(Program({"--relay", relay, "--connect-wait", "soon"}, log).wait() == 78);
  CHECK(Program({"--relay", relay, "--state-file", "/proc/nowhere/state"}, log).wait() == 73);
  CHECK(Program({"--relay", relay, "--log-file", "/proc/nowhere/log"}, log).wait() == 73);
  FakeRelay taken("x");
  CHECK(
      Program({"--relay", relay, "--listen", "127.0.0.1:" + std::to_string(taken.address().relay_port)}, log)
          .wait() == 71);
  CHECK(Program({"--version"}, log).wait() == 0);
}
