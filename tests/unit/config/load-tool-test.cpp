#include <catch2/catch.hpp>

#include "tests/unit/config/config-fixture.h"

using namespace pgtandem;
using namespace pgtandem::test;

using Words = std::vector<std::string>;

TEST_CASE(
    "the tool's global options are taken out before and after the subcommand, the rest is left in order") {
  const auto loaded = load_tool({"--relay", "hosta", "promote", "--other-host-is-off", "--relay=hostb",
                                 "--accept-loss-since", "x", "--token-file", "/t", "--json"});
  INFO(error_of(loaded));
  REQUIRE(loaded.ok());
  CHECK(loaded->rest == Words{"promote", "--other-host-is-off", "--accept-loss-since", "x", "--json"});
  REQUIRE(loaded->settings.relays.size() == 2);
  CHECK(loaded->settings.relays[1].host == "hostb");
  CHECK(loaded->settings.token_file == "/t");
}

TEST_CASE("--help before the subcommand is the tool's, behind it the subcommand's") {
  const auto tool = load_tool({"--help", "status"});
  REQUIRE(tool.ok());
  CHECK(contains(*tool->answer, "COMMANDS"));
  const auto subcommand = load_tool({"status", "--help"});
  REQUIRE(subcommand.ok());
  CHECK_FALSE(subcommand->answer);
  CHECK(subcommand->rest == Words{"status", "--help"});
}

TEST_CASE("what follows two dashes is the subcommand's") {
  const auto loaded = load_tool({"status", "--", "--relay", "x"});
  REQUIRE(loaded.ok());
  CHECK(loaded->rest == Words{"status", "--", "--relay", "x"});
  CHECK(loaded->settings.relays.empty());
}

TEST_CASE("an unknown option before the subcommand is an error") {
  CHECK(contains(error_of(load_tool({"--tokenfile", "/t", "status"})), "did you mean 'token-file'"));
}

TEST_CASE("the tool fills in the user and the known hosts") {
  const auto loaded = load_tool({"status"}, {});
  REQUIRE(loaded.ok());
  CHECK_FALSE(loaded->settings.ssh_user.empty());
  CHECK(contains(loaded->settings.known_hosts, "/.ssh/known_hosts"));
  CHECK(loaded->settings.ssh_port == 22);
  CHECK(loaded->settings.remote_pgtandem == "pgtandem");
}
