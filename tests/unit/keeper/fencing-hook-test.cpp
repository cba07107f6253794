/// The hook's driver with real scripts.
#include "server-relay/keeper/fencing-hook.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>

#include <catch2/catch.hpp>

using namespace pgtandem;
using namespace std::chrono_literals;

namespace {

/// For scripts that end by themselves: far more than they need.
constexpr auto kLong = 20000ms;

class Script {
 public:
  explicit Script(const std::string& text) {
    std::string folder = std::filesystem::temp_directory_path() / "pgtandem-hook-XXXXXX";
    if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = folder;
    std::ofstream(program()) << "#!/bin/sh\n" << text;
    std::filesystem::permissions(program(), std::filesystem::perms::owner_all);
  }
  ~Script() { std::filesystem::remove_all(folder_); }
  std::string program() const { return folder_ + "/hook"; }
  std::string file(const std::string& name) const { return folder_ + "/" + name; }

 private:
  std::string folder_;
};

HookOutcome run(const std::string& program, std::vector<std::string> arguments,
                std::chrono::milliseconds limit = kLong) {
  HookProcess hook({program, std::move(arguments), limit});
  std::promise<HookOutcome> outcome;
  hook.run([&outcome](HookOutcome done) { outcome.set_value(std::move(done)); });
  return outcome.get_future().get();
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

TEST_CASE("status 0 confirms, and the hook is told which host to power off") {
  const Script script("echo \"$# $1 $2\" > \"$(dirname \"$0\")/told\"; echo switched; echo off >&2");
  const HookOutcome outcome = run(script.program(), {"b", "host b; rm -rf"});
  CHECK(outcome.confirmed);
  CHECK(outcome.why.empty());
  CHECK(outcome.output == "switched\noff");
  CHECK(text_of(script.file("told")) == "2 b host b; rm -rf\n");
}

TEST_CASE("any other status confirms nothing, nor does a signal") {
  const HookOutcome failed = run(Script("exit 1").program(), {"b", "hostb"});
  CHECK_FALSE(failed.confirmed);
  CHECK(failed.why == "it ended with exit status 1");
  const HookOutcome killed = run(Script("kill -9 $$").program(), {"b", "hostb"});
  CHECK_FALSE(killed.confirmed);
  CHECK(killed.why == "it ended with signal 9");
}

TEST_CASE("a hook that hangs is killed at its limit with everything that it started, and confirms nothing") {
  const Script script("sleep 1000 & echo $! > \"$(dirname \"$0\")/child\"; trap '' TERM; wait; exit 0");
  const HookOutcome outcome = run(script.program(), {"b", "hostb"}, 700ms);
  CHECK_FALSE(outcome.confirmed);
  CHECK(outcome.why == "it did not end within 700 ms");
  const pid_t child = pid_t(std::stol(text_of(script.file("child"))));
  // Killed; whoever inherits it may take a moment to clear it away, and shows it as a zombie until then.
  const std::string stat = text_of("/proc/" + std::to_string(child) + "/stat");
  const bool gone =
      stat.empty() || stat.find(") Z ") != std::string::npos || stat.find(") X ") != std::string::npos;
  CHECK(gone);
}

TEST_CASE("a hook that cannot be started confirms nothing and says why") {
  const HookOutcome outcome = run("/nonexistent/hook", {"b", "hostb"});
  CHECK_FALSE(outcome.confirmed);
  CHECK(outcome.why.find("/nonexistent/hook") != std::string::npos);
}

TEST_CASE("a hook that says much is not stopped by it, and only the beginning is shown") {
  const HookOutcome outcome = run(Script("yes 0123456789 | head -c 3000000").program(), {"b", "hostb"});
  CHECK(outcome.confirmed);
  CHECK(outcome.output.size() == 1000);
  CHECK(outcome.output.starts_with("0123456789\n0123456789\n"));
}

TEST_CASE("a process left behind does not keep a hook that has ended") {
  const Script script("sleep 1000 & echo $! > \"$(dirname \"$0\")/child\"; exit 0");
  const HookOutcome outcome = run(script.program(), {"b", "hostb"});
  CHECK(outcome.confirmed);
  const pid_t child = pid_t(std::stol(text_of(script.file("child"))));
  CHECK(::kill(child, SIGKILL) == 0);
}

TEST_CASE("a relay that ends kills its hook and hears no more of it") {
  const Script script("sleep 1000");
  bool told = false;
  {
    HookProcess hook({script.program(), {"b", "hostb"}, kLong});
    hook.run([&told](const HookOutcome&) { told = true; });
  }
  CHECK_FALSE(told);
}
