#include "common/process/pid-file.h"

#include <sstream>

#include <catch2/catch.hpp>

#include "tests/unit/config/config-fixture.h"

using namespace pgtandem;
using namespace pgtandem::test;

namespace {

std::string content_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

const std::string kOwn = std::to_string(::getpid());

}  // namespace

TEST_CASE("a pid file holds the process's number, and is gone with it") {
  const TemporaryFolder folder;
  const std::string path = folder.path("pid");
  {
    const auto file = PidFile::take(path);
    REQUIRE(file.ok());
    CHECK(content_of(path) == kOwn + "\n");
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a second instance is refused, and told who has the file") {
  const TemporaryFolder folder;
  const auto file = PidFile::take(folder.path("pid"));
  REQUIRE(file.ok());
  const auto second = PidFile::take(folder.path("pid"));
  REQUIRE_FALSE(second.ok());
  CHECK(contains(second.error(), "belongs to process " + kOwn));
  CHECK(content_of(folder.path("pid")) == kOwn + "\n");
}

TEST_CASE("the file of a process that died is taken over, whatever stands in it") {
  const TemporaryFolder folder;
  const std::string path = folder.write("pid", "1234567890 and more of an older file\n");
  const auto file = PidFile::take(path);
  REQUIRE(file.ok());
  CHECK(content_of(path) == kOwn + "\n");
}

TEST_CASE("a pid file is not written through a link, and one that cannot be made is an error with its name") {
  const TemporaryFolder folder;
  const std::string target = folder.write("target", "precious\n");
  std::filesystem::create_symlink(target, folder.path("link"));
  for (const std::string& path : {folder.path("link"), std::string("/proc/nowhere/pid")}) {
    const auto refused = PidFile::take(path);
    REQUIRE_FALSE(refused.ok());
    CHECK(contains(refused.error(), path));
  }
  CHECK(content_of(target) == "precious\n");
}
