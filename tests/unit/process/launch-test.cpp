/// The start in the background, with real processes.
#include "common/process/launch.h"

#include <functional>
#include <poll.h>
#include <sstream>
#include <sys/wait.h>

#include <catch2/catch.hpp>

#include "tests/unit/config/config-fixture.h"

using namespace pgtandem;
using namespace pgtandem::test;

namespace {

/// What a shell sees of a program that runs `body` after Launch::begin(true).
struct Seen {
  int status = -1;
  std::string errors;      ///< standard error, until the started process ended
  std::string background;  ///< what the background process wrote into the pipe
};

Seen launch(const std::function<void(Launch&, int pipe)>& body) {
  int errors[2], pipe[2];
  REQUIRE(::pipe(errors) == 0);
  REQUIRE(::pipe(pipe) == 0);
  const pid_t started = ::fork();
  if (started == 0) {
    ::dup2(errors[1], STDERR_FILENO);
    ::close(errors[0]);
    ::close(errors[1]);
    ::close(pipe[0]);
    auto begun = Launch::begin(true);
    if (!begun) ::_exit(99);
    body(*begun, pipe[1]);
    ::_exit(0);
  }
  ::close(errors[1]);
  ::close(pipe[1]);
  Seen seen;
  int status = 0;
  ::waitpid(started, &status, 0);
  seen.status = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  const auto drain = [](int fd, std::string& text) {
    char buffer[512];
    for (ssize_t n; (n = ::read(fd, buffer, sizeof buffer)) > 0;) text.append(buffer, std::size_t(n));
    ::close(fd);
  };
  drain(errors[0], seen.errors);
  drain(pipe[0], seen.background);
  return seen;
}

void say(int fd, const std::string& text) {
  REQUIRE(::write(fd, text.data(), text.size()) == ssize_t(text.size()));
}

}  // namespace

TEST_CASE("the started process exits with 0 when the background process is ready, and not before") {
  const pid_t started_in = ::getsid(0);
  const Seen seen = launch([started_in](Launch& launch, int pipe) {
    say(pipe, "ready ");
    launch.ready();
    // In a session of its own, of which it is not the leader: no terminal can come back.
    say(pipe, ::getsid(0) != ::getpid() && ::getsid(0) != started_in ? "alone" : "with a terminal");
    say(STDERR_FILENO, "nobody reads this");
  });
  CHECK(seen.status == 0);
  CHECK(seen.background == "ready alone");
  CHECK(seen.errors.empty());
}

TEST_CASE("an error of the start reaches the caller's terminal, and its status the caller") {
  const Seen seen = launch([](Launch& launch, int) {
    say(STDERR_FILENO, "the port is taken\n");
    launch.failed(71);
  });
  CHECK(seen.status == 71);
  CHECK(seen.errors == "the port is taken\n");
}

TEST_CASE("a start that ends without a word is a failure") {
  const Seen seen = launch([](Launch&, int) { ::_exit(0); });
  CHECK(seen.status == 70);
  CHECK(contains(seen.errors, "ended before it was ready"));
}

TEST_CASE("without daemon nothing changes, and the pid file is this process's own") {
  const TemporaryFolder folder;
  const pid_t own = ::getpid();
  auto begun = Launch::begin(false);
  REQUIRE(begun.ok());
  CHECK(::getpid() == own);
  REQUIRE(begun->take_pid_file(folder.path("pid")).ok());
  CHECK_FALSE(begun->take_pid_file(folder.path("pid")).ok());
  CHECK(begun->failed(78) == 78);
  begun->ended(0);
  CHECK_FALSE(std::filesystem::exists(folder.path("pid")));
}
