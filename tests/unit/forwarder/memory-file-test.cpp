#include "client-forwarder/memory-file.h"

#include <fstream>
#include <sstream>
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "tests/unit/config/config-fixture.h"
#include "tests/unit/forwarder/reports.h"

using namespace pgtandem;
using namespace pgtandem::test;

namespace {

FollowerMemory sample(Epoch epoch = 4) {
  return *parse_record(record_payload(epoch, "b"), kMac);
}

std::string content_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("what was saved is loaded, also over an older file") {
  const TemporaryFolder folder;
  const MemoryFile file(folder.path("state"));
  REQUIRE(file.load().ok());
  CHECK_FALSE(*file.load());
  REQUIRE(file.save(sample(4)).ok());
  REQUIRE(file.save(sample(5)).ok());
  const auto loaded = file.load();
  REQUIRE(loaded.ok());
  CHECK(**loaded == sample(5));
  CHECK(::access(folder.path("state.new").c_str(), F_OK) != 0);
}

TEST_CASE("a file with any byte changed, missing at its end or added gives no memory") {
  const TemporaryFolder folder;
  const std::string path = folder.path("state");
  REQUIRE(MemoryFile(path).save(sample()).ok());
  const std::string whole = content_of(path);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const int bit : {0, 3, 7}) {
      std::string changed = whole;
      changed[i] = char(changed[i] ^ (1 << bit));
      REQUIRE_FALSE(read_memory(changed).ok());
    }
    REQUIRE_FALSE(read_memory(whole.substr(0, i)).ok());
    REQUIRE_FALSE(read_memory(whole.substr(i + 1)).ok());
  }
  CHECK_FALSE(read_memory(whole + "\n").ok());
  CHECK_FALSE(read_memory(whole + whole).ok());
  CHECK(read_memory(whole).ok());
  folder.write("state", whole.substr(0, 10));
  CHECK(error_of(MemoryFile(path).load()).find("damaged") != std::string::npos);
}

TEST_CASE("a file of a later version gives no memory, whatever its checksum says") {
  std::string text = write_memory(sample());
  CHECK_FALSE(read_memory("pgtandem-forwarder 2" + text.substr(20)).ok());
}

TEST_CASE("a place that cannot be written to is an error with the path, and without a path nothing is kept") {
  CHECK(error_of(MemoryFile("/proc/nowhere/state").check_folder()).find("/proc/nowhere/state") !=
        std::string::npos);
  CHECK(error_of(MemoryFile("/proc/nowhere/state").save(sample())).find("/proc/nowhere/state") !=
        std::string::npos);
  const MemoryFile none("");
  CHECK(none.check_folder().ok());
  CHECK(none.save(sample()).ok());
  REQUIRE(none.load().ok());
  CHECK_FALSE(*none.load());
}

TEST_CASE("a folder or a huge file in the place of the state file is an error, not a hang") {
  const TemporaryFolder folder;
  CHECK_FALSE(MemoryFile(folder.path(".")).load().ok());
  CHECK_FALSE(MemoryFile(folder.write("huge", std::string(1U << 20, 'x'))).load().ok());
  REQUIRE(::mkfifo(folder.path("fifo").c_str(), 0600) == 0);
  CHECK_FALSE(MemoryFile(folder.path("fifo")).load().ok());
}
