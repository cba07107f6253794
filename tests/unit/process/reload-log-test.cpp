#include "common/process/reload-log.h"

#include <atomic>
#include <sstream>
#include <thread>

#include <catch2/catch.hpp>

#include "common/base/log.h"
#include "tests/unit/config/config-fixture.h"

using namespace pgtandem;
using namespace pgtandem::test;

namespace {

std::string content_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// The log in a file, and back to standard error at the end.
struct LogFile {
  const TemporaryFolder folder;
  const std::string path = folder.path("log");
  LogFile() { open(log::Level::info); }
  ~LogFile() { REQUIRE(log::open({}).ok()); }
  void open(log::Level level, bool json = false) const {
    log::Options options;
    options.file = path;
    options.level = level;
    options.json = json;
    REQUIRE(log::open(options).ok());
  }
};

}  // namespace

TEST_CASE("a reload is one line, and what needs a restart one more") {
  const LogFile file;
  log_reload({{"access", "log.level"}, {}});
  CHECK(contains(content_of(file.path), "info reloaded taken_over=\"access, log.level\"\n"));
  CHECK_FALSE(contains(content_of(file.path), "needs-a-restart"));
  log_reload({{}, {"standby_timeout", "threads"}});
  CHECK(contains(content_of(file.path), "needs-a-restart settings=\"standby_timeout, threads\""));
  log_failed_reload("pgtandem.toml:3: no\nand more");
  CHECK(contains(content_of(file.path), "error reload-failed error=\"pgtandem.toml:3: no\\nand more\""));
}

TEST_CASE("a log file that was renamed is begun anew when it is opened again") {
  const LogFile file;
  log::info("before");
  std::filesystem::rename(file.path, file.path + ".1");
  log::info("between");
  file.open(log::Level::info);
  log::info("after");
  CHECK(contains(content_of(file.path + ".1"), "between"));
  CHECK(contains(content_of(file.path), "after"));
  CHECK_FALSE(contains(content_of(file.path), "between"));
}

TEST_CASE("level and form of the log can change while threads write, and no line is of two makes") {
  const LogFile file;
  std::atomic<bool> done{false};
  std::vector<std::thread> writers;
  for (int i = 0; i < 3; ++i) {
    writers.emplace_back([&done] {
      while (!done) log::info("event", {{"key", "two words"}});
    });
  }
  // At least until the writers have been at work.
  for (int i = 0; i < 50 || content_of(file.path).empty(); ++i)
    file.open(i % 3 == 0 ? log::Level::warning : log::Level::info, i % 2 == 0);
  done = true;
  for (std::thread& writer : writers) writer.join();
  file.open(log::Level::warning);
  log::info("unwanted");
  std::istringstream lines(content_of(file.path));
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const bool json = line.starts_with("{") && line.ends_with("\"event\":\"event\",\"key\":\"two words\"}");
    const bool text = line.starts_with("20") && line.ends_with("info event key=\"two words\"");
    INFO(line);
    CHECK((json || text));
  }
  CHECK(count > 0);
}

TEST_CASE("a log file that cannot be opened leaves the old one in use") {
  const LogFile file;
  log::Options wrong;
  wrong.file = "/proc/nowhere/log";
  wrong.level = log::Level::error;
  CHECK_FALSE(log::open(wrong).ok());
  log::info("still-here");
  CHECK(contains(content_of(file.path), "still-here"));
}
