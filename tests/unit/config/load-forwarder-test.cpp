#include <catch2/catch.hpp>

#include "common/config/value.h"
#include "tests/unit/config/config-fixture.h"

using namespace pgtandem;
using namespace pgtandem::test;

TEST_CASE("a forwarder needs two relays and nothing else") {
  const auto loaded = load_forwarder({"--relay", "hosta:5432", "--relay", "hostb:6000/9000"});
  INFO(error_of(loaded));
  REQUIRE(loaded.ok());
  const ForwarderSettings& s = loaded->settings;
  CHECK(s.listen == ForwarderSettings().listen);
  CHECK(s.connect_wait == ForwarderSettings().connect_wait);
  CHECK(s.state_file.empty());
  REQUIRE(s.relays.size() == 2);
  CHECK(config::to_string(s.relays[0]) == "hosta:5432/8432");
  CHECK(config::to_string(s.relays[1]) == "hostb:6000/9000");
}

TEST_CASE("a forwarder takes its relays from the pair's file, and is not disturbed by the relay's keys") {
  const TemporaryFolder folder;
  const std::string file =
      folder.write("pgtandem.toml",
                   "node = \"a\"\nthreads = 2\n[nodes.a]\nhost = \"hosta\"\n[nodes.b]\nhost = "
                   "\"hostb\"\nrelay_port = 6000\n[forwarder]\nconnect_wait = \"1m\"\n");
  const auto loaded = load_forwarder({"--config", file, "--state-file", "/s"}, {{"PGTANDEM_THREADS", "1"}});
  INFO(error_of(loaded));
  REQUIRE(loaded.ok());
  REQUIRE(loaded->settings.relays.size() == 2);
  CHECK(config::to_string(loaded->settings.relays[1]) == "hostb:6000/8432");
  CHECK(loaded->settings.connect_wait == Milliseconds(60'000));
  CHECK(loaded->settings.state_file == "/s");
  CHECK(loaded->warnings.empty());
}

TEST_CASE("a forwarder refuses what cannot work") {
  CHECK(contains(error_of(load_forwarder({})), "no relay is known"));
  CHECK(contains(error_of(load_forwarder({"--relay", "a", "--relay", "b", "--relay", "c"})),
                 "one or two relays"));
  CHECK(contains(error_of(load_forwarder({"--relay", "a,a"})), "share an address"));
  CHECK(contains(error_of(load_forwarder({"--relay", "127.0.0.1:5432"})), "the relay's own address"));
  CHECK(contains(error_of(load_forwarder({"--nodes-a-host", "a"})), "a pair has both nodes"));
  CHECK(contains(error_of(load_forwarder({"--relay", "a", "--threads", "2"})),
                 "--threads: there is no such option"));
  CHECK(contains(error_of(load_forwarder({"--relay", "a", "--listen="})), "no address to listen on"));
}

TEST_CASE("one relay alone is enough where there is no pair") {
  CHECK(load_forwarder({"--relay", "hosta", "--listen", "127.0.0.1:7000"}).ok());
}

TEST_CASE("the forwarder's --print-config and --help speak of its own settings") {
  const auto printed = load_forwarder({"--relay", "a,b", "--print-config"});
  REQUIRE(printed.ok());
  CHECK(contains(*printed->answer, "relays = [\"a\", \"b\"]"));
  CHECK_FALSE(contains(*printed->answer, "standby_timeout"));
  const auto help = load_forwarder({"-h"});
  REQUIRE(help.ok());
  CHECK(contains(*help->answer, "--connect-wait"));
  CHECK_FALSE(contains(*help->answer, "--standby-timeout"));
}
