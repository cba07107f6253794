/// A file that is replaced as a whole: owner, mode, links, what somebody else does meanwhile.
#include "server-relay/tool/edited-file.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/unit/control/tool-rig.h"

using namespace pgtandem;
using namespace pgtandem::tool;
using pgtandem::control_test::contains;
using pgtandem::control_test::TemporaryFolder;

namespace {

std::string read(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

unsigned mode_of(const std::string& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777U;
}

std::size_t files_in(const std::string& folder) {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++count;
  return count;
}

Result<void> good(const std::string&) {
  return {};
}

}  // namespace

TEST_CASE("the new text is whole, with the mode and the owner of the old one") {
  const TemporaryFolder folder;
  const std::string path = folder.file("settings", "old\n");
  ::chmod(path.c_str(), 0640);
  const bool root = ::geteuid() == 0;
  if (root) REQUIRE(::chown(path.c_str(), 12345, 23456) == 0);
  const auto file = EditedFile::open(path);
  REQUIRE(file);
  CHECK(file->text() == "old\n");
  std::string draft_text;
  REQUIRE(file->replace("new\n", [&](const std::string& draft) -> Result<void> {
    draft_text = read(draft);
    return {};
  }));
  CHECK(draft_text == "new\n");
  CHECK(read(path) == "new\n");
  CHECK(mode_of(path) == 0640);
  struct stat info {};
  ::stat(path.c_str(), &info);
  if (root) CHECK((info.st_uid == 12345 && info.st_gid == 23456));
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("a link stays a link, and its target is replaced") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() + "/real");
  const std::string target = folder.file("real/settings", "old\n");
  std::filesystem::create_symlink("real/settings", folder.path() + "/link");
  const auto file = EditedFile::open(folder.path() + "/link");
  REQUIRE(file);
  CHECK(file->path() == std::filesystem::canonical(target).string());
  REQUIRE(file->replace("new\n", good));
  CHECK(read(target) == "new\n");
  CHECK(std::filesystem::is_symlink(folder.path() + "/link"));
}

TEST_CASE("what the check refuses changes nothing, and its message names the file and not the draft") {
  const TemporaryFolder folder;
  const std::string path = folder.file("settings", "old\n");
  const auto file = EditedFile::open(path);
  REQUIRE(file);
  const auto bad = [](const std::string& draft) -> Result<void> { return Error{draft + ":3: no such key"}; };
  const Result<void> refused = file->replace("new\n", bad);
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == file->path() + ":3: no such key");
  CHECK_FALSE(file->try_out("new\n", bad));
  CHECK(file->try_out("new\n", good));
  CHECK(read(path) == "old\n");
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("a file that somebody else has changed meanwhile is not replaced") {
  const TemporaryFolder folder;
  const std::string path = folder.file("settings", "old\n");
  const auto file = EditedFile::open(path);
  REQUIRE(file);
  folder.file("settings", "another\n");
  const Result<void> refused = file->replace("new\n", good);
  REQUIRE_FALSE(refused);
  CHECK(contains(refused.error(), "has been changed meanwhile"));
  CHECK(read(path) == "another\n");
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("two at once: the second one is told") {
  const TemporaryFolder folder;
  const std::string path = folder.file("settings", "old\n");
  {
    const auto first = EditedFile::open(path);
    REQUIRE(first);
    const auto second = EditedFile::open(path);
    REQUIRE_FALSE(second);
    CHECK(contains(second.error(), "another pgtandem is changing"));
  }
  CHECK(EditedFile::open(path));
}

TEST_CASE("a file that is not there, or a folder that takes no draft, is told") {
  const TemporaryFolder folder;
  const auto missing = EditedFile::open(folder.path() + "/missing");
  REQUIRE_FALSE(missing);
  CHECK(contains(missing.error(), "No such file"));
  CHECK_FALSE(EditedFile::open(folder.path()));
  if (::geteuid() == 0) return;  // root writes everywhere
  const std::string path = folder.file("settings", "old\n");
  ::chmod(folder.path().c_str(), 0500);
  {
    const auto file = EditedFile::open(path);
    REQUIRE(file);
    const Result<void> refused = file->replace("new\n", good);
    REQUIRE_FALSE(refused);
    CHECK(contains(refused.error(), "cannot write in folder"));
  }
  ::chmod(folder.path().c_str(), 0700);
}
