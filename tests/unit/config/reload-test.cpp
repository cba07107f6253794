#include "common/config/reload.h"

#include <catch2/catch.hpp>

#include "tests/unit/config/config-fixture.h"

using namespace pgtandem;
using namespace pgtandem::test;

namespace {

const std::vector<std::string> kForwarder{"--relay", "hosta", "--relay", "hostb"};

config::SettingTexts texts(const std::vector<std::string>& more) {
  std::vector<std::string> words = kForwarder;
  words.insert(words.end(), more.begin(), more.end());
  const auto loaded = load_forwarder(words);
  INFO(error_of(loaded));
  REQUIRE(loaded.ok());
  return loaded->texts;
}

}  // namespace

TEST_CASE("every setting of the program, and none of another, is compared") {
  const auto all = texts({});
  for (const config::Setting& setting : config::settings()) {
    INFO(setting.name);
    CHECK(all.contains(setting.name) == bool(setting.programs & config::kForwarder));
  }
}

TEST_CASE("a changed setting is taken over or needs a restart, one that is as before is neither") {
  const auto before = texts({"--connect-wait", "30s", "--log-level", "info"});
  CHECK(config::changes(before, before).taken_over.empty());
  CHECK(config::changes(before, before).need_restart.empty());
  const auto after = texts(
      {"--connect-wait", "10s", "--log-level", "debug", "--listen", "127.0.0.1:6000", "--state-file", "/s"});
  const auto found = config::changes(before, after);
  CHECK(config::joined(found.taken_over) == "forwarder.connect_wait, log.level");
  CHECK(config::joined(found.need_restart) == "forwarder.listen, forwarder.state_file");
}

TEST_CASE("a default that is written out is no change, and an item more in a list is one") {
  const auto before = texts({});
  CHECK(config::changes(before, texts({"--connect-wait", "30s"})).taken_over.empty());
  const auto more = texts({"--listen", "127.0.0.1:5432", "--listen", "127.0.0.1:5434"});
  CHECK(config::joined(config::changes(before, more).need_restart) == "forwarder.listen");
}

TEST_CASE("what needs a restart is named at every later reload, what was taken over only once") {
  const auto before = texts({});
  const auto after = texts({"--connect-wait", "10s", "--state-file", "/s"});
  const auto second = config::changes(config::after_reload(before, after), after);
  CHECK(second.taken_over.empty());
  CHECK(config::joined(second.need_restart) == "forwarder.state_file");
}

TEST_CASE(
    "a relay takes over its access list and its limits on clients, and nothing that its role depends on") {
  for (const char* name : {"access", "control.token_file", "log.level", "log.file", "login_timeout",
                           "client_stall", "slow_write", "max_sessions"}) {
    INFO(name);
    CHECK(config::find_setting(name)->reloads);
  }
  for (const char* name :
       {"standby_timeout", "takeover_timeout", "stop_timeout", "node", "pair.uuid", "pair.key_file",
        "discipline", "ack", "state_dir", "listen.frontends", "threads"}) {
    INFO(name);
    CHECK_FALSE(config::find_setting(name)->reloads);
  }
}

TEST_CASE("--daemon needs a log file, from whichever source; the tool has neither it nor a pid file") {
  const auto with = [](std::vector<std::string> more) {
    more.insert(more.end(), kForwarder.begin(), kForwarder.end());
    return load_forwarder(more);
  };
  const auto alone = with({"--daemon"});
  REQUIRE_FALSE(alone.ok());
  CHECK(contains(alone.error(), "--log-file"));
  const auto good = with({"--daemon", "--log-file", "/tmp/l", "--pid-file", "/tmp/p"});
  INFO(error_of(good));
  REQUIRE(good.ok());
  CHECK(good->launch.daemon);
  CHECK(good->launch.pid_file == "/tmp/p");
  CHECK(with({"--pid-file", "/tmp/p"}).ok());
  CHECK(with({"--daemon", "--help"}).ok());
  const CommandLine line([&] {
    std::vector<std::string> words = kForwarder;
    words.emplace_back("--daemon");
    return words;
  }());
  CHECK(load_forwarder_settings(line.argc(), line.argv(), {{"PGTANDEM_LOG_FILE", "/tmp/l"}}).ok());
  CHECK_FALSE(load_tool({"--daemon", "status"}).ok());
}
