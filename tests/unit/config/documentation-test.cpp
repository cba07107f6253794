#include <iostream>
#include <set>
#include <sstream>

#include <catch2/catch.hpp>

#include "common/config/setting-table.h"
#include "tests/unit/config/config-fixture.h"

using namespace pgtandem;
using namespace pgtandem::test;
using config::Setting;

namespace {

std::string read_doc(const std::string& name) {
  std::ifstream file(std::string(PGTANDEM_DOCS "/") + name);
  REQUIRE(file);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string programs_text(const Setting& setting) {
  std::string text;
  const auto add = [&](unsigned bit, const char* name) {
    if (setting.programs & bit) text += (text.empty() ? "" : ", ") + std::string(name);
  };
  add(config::kRelay, "relay");
  add(config::kForwarder, "forwarder");
  add(config::kTool, "tool");
  return text;
}

/// What configuration.md must say about a setting, word for word.
std::string doc_block(const Setting& setting) {
  const std::string unit(config::unit_text(setting.type));
  const std::string limits = config::limits_text(setting);
  std::string text =
      "### `" + std::string(setting.name) + "`\n" + std::string(setting.meaning) + "\n\n- Type: ";
  text +=
      std::string(config::type_text(setting.type)) + (unit.empty() ? "" : " (" + unit + ")") + ". Default: ";
  text += config::default_text(setting) + (limits.empty() ? "" : ". Allowed: " + limits) + ".\n";
  if (!setting.at_limits.empty()) text += "- When it is reached: " + std::string(setting.at_limits) + "\n";
  if (setting.reloads) text += "- A reload (SIGHUP) takes a new value over.\n";
  text += "- Flag: `--" + config::flag_name(setting) + "`";
  if (!setting.flag.empty()) text += " or `--" + std::string(setting.flag) + "`";
  text += ". Variable: `" + config::variable_name(setting) + "`. Used by: " + programs_text(setting) + ".\n";
  return text;
}

}  // namespace

TEST_CASE("configuration.md describes every setting as the table has it") {
  const std::string doc = read_doc("configuration.md");
  for (const Setting& setting : config::settings()) {
    const std::string block = doc_block(setting);
    INFO("expected in docs/configuration.md:\n" << block);
    CHECK(contains(doc, "\n" + block));
  }
}

TEST_CASE("configuration.md describes no setting that does not exist") {
  std::istringstream doc(read_doc("configuration.md"));
  std::size_t headings = 0;
  for (std::string line; std::getline(doc, line);) {
    if (!line.starts_with("### `")) continue;
    ++headings;
    INFO(line);
    CHECK(config::find_setting(line.substr(5, line.size() - 6)) != nullptr);
  }
  CHECK(headings == config::settings().size());
}

TEST_CASE("the sample file is accepted by all three programs") {
  const std::string file = PGTANDEM_DOCS "/pgtandem.toml";
  const auto relay = load_relay({"--config", file});
  INFO(error_of(relay));
  REQUIRE(relay.ok());
  CHECK(relay->settings.node == Node::a);
  CHECK(relay->settings.access.size() == 3);
  CHECK(relay->settings.compare_window == RelaySettings().compare_window);
  const auto forwarder = load_forwarder({"--config", file});
  INFO(error_of(forwarder));
  REQUIRE(forwarder.ok());
  CHECK(forwarder->settings.relays.size() == 2);
  const auto tool = load_tool({"--config", file, "status"});
  INFO(error_of(tool));
  REQUIRE(tool.ok());
  CHECK(tool->settings.token_file == "/etc/pgtandem/token");
}

TEST_CASE(
    "the sample file shows every setting of a pair, and a key in a comment works when it is uncommented") {
  std::istringstream sample(read_doc("pgtandem.toml"));
  std::set<std::string> shown;
  std::string section, live;
  for (std::string line; std::getline(sample, line);) {
    if (line.starts_with("[")) section = line.substr(1, line.find(']') - 1) + ".";
    if (line.starts_with("[[")) section = "access.";
    const std::size_t equals = line.find(" = ");
    const bool commented =
        line.starts_with("# ") && equals != std::string::npos && line.find(' ', 2) == equals;
    const std::string bare = commented ? line.substr(2) : line;
    live += bare + "\n";
    if (equals != std::string::npos) shown.insert(section + bare.substr(0, bare.find(" = ")));
  }
  shown.insert("access");
  for (const Setting& setting : config::settings()) {
    if (setting.name == "master" || setting.name == "standby") continue;  // flags-only mode
    INFO(setting.name);
    CHECK(shown.contains(std::string(setting.name)));
  }
  const TemporaryFolder folder;
  const auto relay = load_relay({"--config", folder.write("live.toml", live)});
  INFO(error_of(relay));
  CHECK(relay.ok());
}

// Run by hand (`config-test "[print]"`) after the table was changed.
TEST_CASE("print what configuration.md should say", "[.][print]") {
  std::string section = "none";
  for (const Setting& setting : config::settings()) {
    const std::string own(setting.name == "access" ? "access" : config::section_of(setting.name));
    if (own != section) {
      section = own;
      std::cout << (own.empty() ? "## Outside the sections\n\n" : "## `[" + own + "]`\n\n");
    }
    std::cout << doc_block(setting) << "\n";
  }
}
