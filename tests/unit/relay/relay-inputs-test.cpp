#include "server-relay/relay/relay-inputs.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "tests/unit/config/config-fixture.h"

using namespace pgtandem;
using namespace pgtandem::test;

namespace {

/// A relay's file with its key and token, to be changed and read again.
struct Files {
  const TemporaryFolder folder;
  const std::string config = folder.path("pgtandem.toml");

  Files() {
    secret("key", "0123456789abcdef");
    secret("token", "token-of-16-bytes");
    write();
  }
  void secret(const std::string& name, const std::string& content) const {
    REQUIRE(::chmod(folder.write(name, content).c_str(), 0600) == 0);
  }
  void write(const std::string& top = "", const std::string& tables = "") const {
    folder.write("pgtandem.toml",
                 "node = \"a\"\n" + top +
                     "[pair]\nuuid = \"9b2f6c1e-5f0a-4c56-8a3e-6d4f0c2b7e11\"\nkey_file = \"" +
                     folder.path("key") + "\"\n[nodes.a]\nhost = \"hosta\"\n[nodes.b]\nhost = \"hostb\"\n" +
                     "[control]\ntoken_file = \"" + folder.path("token") + "\"\n" + tables);
  }
  Result<RelayInputs> read() const {
    const CommandLine line({"--config", config});
    return read_relay_inputs(line.argc(), line.argv());
  }
};

std::string words(const config::SettingChanges& changes) {
  return config::joined(changes.taken_over) + " | " + config::joined(changes.need_restart);
}

}  // namespace

TEST_CASE("a reload of the same inputs changes nothing") {
  const Files files;
  const auto before = files.read();
  INFO((before.ok() ? "" : before.error()));
  REQUIRE(before.ok());
  CHECK(words(changed_inputs(*before, *files.read())) == " | ");
}

TEST_CASE("a new token in the same file is taken over, a new key needs a restart") {
  const Files files;
  auto in_force = files.read();
  REQUIRE(in_force.ok());
  files.secret("token", "another-token-of-its-own");
  files.secret("key", "fedcba9876543210");
  auto fresh = files.read();
  REQUIRE(fresh.ok());
  CHECK(words(changed_inputs(*in_force, *fresh)) == "control.token_file | pair.key_file");
  take_over(*in_force, std::move(*fresh));
  CHECK(in_force->token.reveal() == "another-token-of-its-own");
  CHECK(in_force->key.reveal() == "0123456789abcdef");
  CHECK(words(changed_inputs(*in_force, *files.read())) == " | pair.key_file");
}

TEST_CASE("a new access list is taken over") {
  const Files files;
  auto in_force = files.read();
  REQUIRE(in_force.ok());
  CHECK_FALSE(in_force->access.allows("10.1.2.3:4711", "db", "user"));
  files.write("", "[[access]]\naddress = \"10.0.0.0/8\"\naction = \"allow\"\n");
  auto fresh = files.read();
  REQUIRE(fresh.ok());
  CHECK(words(changed_inputs(*in_force, *fresh)) == "access | ");
  take_over(*in_force, std::move(*fresh));
  CHECK(in_force->access.allows("10.1.2.3:4711", "db", "user"));
}

TEST_CASE("anything that is wrong, in the file or in those that it names, is an error of the whole") {
  const Files files;
  const std::string place = GENERATE("setting", "key", "token", "access");
  INFO(place);
  if (place == "setting") files.write("threads = 9999\n");
  if (place == "key") files.secret("key", "short");
  if (place == "token") files.secret("token", "short");
  if (place == "access") files.write("", "[[access]]\naddress = \"not an address\"\n");
  CHECK_FALSE(files.read().ok());
}
