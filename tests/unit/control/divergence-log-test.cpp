#include "server-relay/control/divergence-log.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>

#include <catch2/catch.hpp>

using namespace pgtandem;
namespace fs = std::filesystem;

namespace {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    char name[] = "/tmp/pgtandem-divergence-XXXXXX";
    if (!::mkdtemp(name)) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() { fs::remove_all(path_); }
  std::string path() const { return path_; }
  std::string file(const std::string& suffix = {}) const { return path_ + "/differences.jsonl" + suffix; }

 private:
  std::string path_;
};

Difference example(std::uint64_t session = 7) {
  Difference d;
  d.kind = Difference::Kind::write;
  d.session = session;
  d.user = "scada";
  d.database = "plant";
  d.application = "hmi \"1\"\n";
  d.statement = "UPDATE t SET v = 1";
  d.what = "CommandComplete";
  d.master = "UPDATE 1";
  d.standby = "UPDATE 0";
  d.action = Difference::Action::stale;
  return d;
}

struct ReadBack {
  std::vector<DifferenceLine> lines;
  std::size_t unreadable = 0;
  std::uint64_t lost = 0;
};

ReadBack read_back(const std::string& path) {
  ReadBack result;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (line.empty()) continue;
    const auto entry = parse_difference_line(line);
    if (!entry) {
      ++result.unreadable;
      continue;
    }
    result.lines.push_back(*entry);
    result.lost += entry->lost;
  }
  return result;
}

/// Waits until the log's thread has dealt with everything.
DivergenceLog::Counts settled(const DivergenceLog& log) {
  DivergenceLog::Counts counts = log.counts();
  while (counts.kept + counts.lost < counts.writes + counts.reads) {
    std::this_thread::yield();
    counts = log.counts();
  }
  return counts;
}

/// No file of this process may grow beyond `bytes`: what a full disk does, without one.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, before_.rlim_max};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) throw std::runtime_error("setrlimit");
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int) = SIG_DFL;
};

}  // namespace

TEST_CASE("a difference is read back as it was recorded, with a time, from a file that others cannot read") {
  const TemporaryFolder folder;
  {
    DivergenceLog log({.state_dir = folder.path()});
    log.record(example());
    CHECK(settled(log).kept == 1);
  }
  struct stat info {};
  REQUIRE(::stat(folder.file().c_str(), &info) == 0);
  CHECK((info.st_mode & 0777U) == 0600U);
  const ReadBack back = read_back(folder.file());
  REQUIRE(back.lines.size() == 1);
  const Difference& d = back.lines[0].difference;
  CHECK(d.time.size() == std::string("2026-01-01T00:00:00.000Z").size());
  CHECK(d.kind == Difference::Kind::write);
  CHECK(d.session == 7);
  CHECK(d.application == "hmi \"1\"\n");
  CHECK(d.statement == "UPDATE t SET v = 1");
  CHECK(d.standby == "UPDATE 0");
  CHECK(d.action == Difference::Action::stale);
}

TEST_CASE("statements are cut to 1000 bytes at a character's border, and never break the line") {
  Difference d = example();
  d.statement = std::string(999, 'x') + "\xC3\xA4\xC3\xA4\n\"";
  const auto back = parse_difference_line(to_line(d));
  REQUIRE(back.ok());
  CHECK(back->difference.statement == std::string(999, 'x') + "...");
  d.statement = "SELECT '\xFF\xFE\x01'";  // no UTF-8
  CHECK(parse_difference_line(to_line(d)).ok());
  CHECK(to_line(d).find('\n') == to_line(d).size() - 1);
}

TEST_CASE("a statement that may hold a password leaves only its first words") {
  for (const std::string statement :
       {"ALTER ROLE bob PASSWORD 'hunter2'", "create user bob with passWORD 'hunter2'",
        "/*PASSWORD*/'hunter2'", "ALTER ROLE 'hunter2'PASSWORD", "SELECT'hunter2'||'password'"}) {
    Difference d = example();
    d.statement = statement;
    CAPTURE(statement);
    CHECK(to_line(d).find("hunter2") == std::string::npos);
  }
  Difference d = example();
  d.statement = "ALTER ROLE bob PASSWORD 'hunter2'";
  CHECK(to_line(d).find("ALTER ROLE (left out") != std::string::npos);
}

TEST_CASE("the file is rotated at its size and two old ones are kept, none of them larger") {
  const TemporaryFolder folder;
  constexpr std::uint64_t kSize = 4096;
  {
    DivergenceLog log({.state_dir = folder.path(), .rotate_bytes = kSize, .queue_entries = 100'000});
    for (std::uint64_t i = 0; i < 200; ++i) log.record(example(i));
    CHECK(settled(log).kept == 200);
  }
  std::size_t files = 0;
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    CHECK(entry.file_size() <= kSize);
    ++files;
  }
  CHECK(files == 3);
  std::vector<DifferenceLine> all = read_back(folder.file(".2")).lines;
  for (const std::string suffix : {".1", ""}) {
    for (const auto& line : read_back(folder.file(suffix)).lines) all.push_back(line);
  }
  REQUIRE(all.size() > 20);
  CHECK(all.back().difference.session == 199);
  for (std::size_t i = 1; i < all.size(); ++i)
    CHECK(all[i].difference.session == all[i - 1].difference.session + 1);
}

TEST_CASE("a restart appends to the file that is there") {
  const TemporaryFolder folder;
  for (std::uint64_t i = 0; i < 3; ++i) {
    DivergenceLog log({.state_dir = folder.path()});
    log.record(example(i));
  }
  CHECK(read_back(folder.file()).lines.size() == 3);
}

TEST_CASE("a full disk costs entries, not more; when it has room again the file says how many") {
  const TemporaryFolder folder;
  DivergenceLog log({.state_dir = folder.path()});
  log.record(example(0));
  const std::uint64_t size = (settled(log), fs::file_size(folder.file()));
  {
    const FileSizeLimit full(rlim_t(size + 100));  // a torn line fits, a whole one does not
    for (std::uint64_t i = 1; i <= 50; ++i) log.record(example(i));
    CHECK(settled(log).lost == 50);
    CHECK(fs::file_size(folder.file()) == size);
  }
  log.record(example(51));
  const auto counts = settled(log);
  CHECK(counts.kept == 2);
  CHECK(counts.writes == 52);
  const ReadBack back = read_back(folder.file());
  CHECK(back.unreadable == 0);
  CHECK(back.lost == 50);
  REQUIRE(back.lines.size() == 3);
  CHECK(back.lines.back().difference.session == 51);
}

TEST_CASE("a device without room and a folder that is missing cost entries only") {
  const TemporaryFolder folder;
  fs::create_symlink("/dev/full", folder.file());
  {
    DivergenceLog log({.state_dir = folder.path()});  // a symbolic link is not followed either
    log.record(example());
    CHECK(settled(log).lost == 1);
  }
  DivergenceLog missing({.state_dir = folder.path() + "/not-there"});
  missing.record(example());
  CHECK(settled(missing).lost == 1);
  fs::create_directory(folder.path() + "/not-there");
  missing.record(example());
  CHECK(settled(missing).kept == 1);
}

TEST_CASE("more than the queue holds is counted as lost, and nobody waits for the disk") {
  const TemporaryFolder folder;
  // A FIFO without a reader: opening it for writing blocks the log's thread as a hanging disk does.
  REQUIRE(::mkfifo(folder.file().c_str(), 0600) == 0);
  {
    DivergenceLog log({.state_dir = folder.path(), .queue_entries = 10});
    for (std::uint64_t i = 0; i < 100; ++i) log.record(example(i));  // returns: that is the promise
    const auto counts = log.counts();
    CHECK(counts.writes == 100);
    CHECK(counts.lost >= 89);
    CHECK(counts.queued <= 10);
    std::ifstream reader(folder.file());  // the disk is back
    CHECK(settled(log).kept <= 11);
    std::string all;
    for (std::string line; all.find("\"lost\"") == std::string::npos && std::getline(reader, line);)
      all += line;
    CHECK(all.find("\"lost\"") != std::string::npos);
  }
}

TEST_CASE("many threads may record at once") {
  const TemporaryFolder folder;
  DivergenceLog log({.state_dir = folder.path(), .queue_entries = 100'000});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (std::uint64_t i = 0; i < 250; ++i) log.record(example(i));
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(settled(log).kept == 1000);
  CHECK(read_back(folder.file()).lines.size() == 1000);
}
