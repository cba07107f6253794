#include "win32/service-command.h"

#include <catch2/catch.hpp>

using namespace pgtandem::win32;
using Words = std::vector<std::string>;

TEST_CASE("without a command the program runs with its own options") {
  CHECK(parse_command({})->kind == CommandKind::run);
  const auto command = parse_command({"--relay", "a:1"});
  CHECK(command->kind == CommandKind::run);
  CHECK(command->settings == Words{"--relay", "a:1"});
  CHECK(parse_command({"run", "--relay", "a:1"})->settings == Words{"--relay", "a:1"});
}

TEST_CASE("install and uninstall keep their own flags apart from the settings") {
  const auto install = parse_command({"install", "--relay=a:1", "--dry-run"});
  CHECK(install->kind == CommandKind::install);
  CHECK(install->dry_run);
  CHECK(install->settings == Words{"--relay=a:1"});
  const auto uninstall = parse_command({"uninstall", "--keep-settings"});
  CHECK(uninstall->kind == CommandKind::uninstall);
  CHECK(uninstall->keep_settings);
  CHECK_FALSE(uninstall->dry_run);
}

TEST_CASE("the service gets its folder and its settings") {
  const auto command = parse_command({"service", "C:\\Data", "--config", "C:\\f.toml"});
  CHECK(command->kind == CommandKind::service);
  CHECK(command->data_folder == "C:\\Data");
  CHECK(command->settings == Words{"--config", "C:\\f.toml"});
}

TEST_CASE("unknown words are refused by name") {
  CHECK(parse_command({"instal"}).error().find("'instal' is no command") != std::string::npos);
  CHECK(parse_command({"stop", "now"}).error().find("'now' has no meaning for stop") != std::string::npos);
  CHECK_FALSE(parse_command({"uninstall", "--relay=a:1"}).ok());
}

TEST_CASE("the help names every command") {
  CHECK(parse_command({"--help"})->kind == CommandKind::help);
  for (const char* word : {"install", "uninstall", "start", "stop", "reload", "status", "run"})
    CHECK(command_help().find(std::string("  ") + word) != std::string::npos);
}
