#include "common/config/secret-file.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "tests/unit/config/config-fixture.h"

using namespace pgtandem;
using namespace pgtandem::test;

namespace {

std::string secret_file(const TemporaryFolder& folder, const std::string& content, mode_t mode = 0600) {
  const std::string path = folder.write("secret", content);
  REQUIRE(::chmod(path.c_str(), mode) == 0);
  return path;
}

}  // namespace

TEST_CASE("a secret is the file without one trailing newline") {
  const TemporaryFolder folder;
  CHECK(read_secret_file(secret_file(folder, "0123456789abcdef\n"), 16)->reveal() == "0123456789abcdef");
  CHECK(read_secret_file(secret_file(folder, "0123456789abcdef"), 16)->reveal() == "0123456789abcdef");
  CHECK(read_secret_file(secret_file(folder, "ab\n\n"), 1)->reveal() == "ab\n");
  CHECK(read_secret_file(secret_file(folder, "ab", 0400), 1)->reveal() == "ab");
}

TEST_CASE("a secret file that others can open is refused with the command that helps") {
  const TemporaryFolder folder;
  for (const mode_t mode : {0640, 0604, 0620, 0610, 0666}) {
    const std::string error = error_of(read_secret_file(secret_file(folder, "0123456789abcdef", mode), 16));
    CHECK(contains(error, "chmod 600"));
  }
}

TEST_CASE(
    "a secret file that is missing, short, huge or no file is refused, and the text never holds the secret") {
  const TemporaryFolder folder;
  CHECK(contains(error_of(read_secret_file(folder.path("none"), 1)), "No such file"));
  const std::string small = error_of(read_secret_file(secret_file(folder, "hunter2\n"), 16));
  CHECK(contains(small, "holds 7 bytes, at least 16"));
  CHECK_FALSE(contains(small, "hunter2"));
  CHECK(contains(error_of(read_secret_file(secret_file(folder, std::string(65537, 'x')), 1)),
                 "larger than 64 KiB"));
  CHECK(contains(error_of(read_secret_file(folder.path("."), 1)), "no regular file"));
  REQUIRE(::mkfifo(folder.path("fifo").c_str(), 0600) == 0);
  CHECK(contains(error_of(read_secret_file(folder.path("fifo"), 1)), "no regular file"));
}
