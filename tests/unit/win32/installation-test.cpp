#include "win32/installation.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "win32/recording-host.h"

using namespace pgtandem;
using namespace pgtandem::win32;

namespace {

const ServicePlan kPlan = forwarder_plan({.program = "C:\\p\\f.exe", .program_data = "C:\\d"});
const std::string kSettings = "12345";

std::ptrdiff_t place_of(const RecordingHost& host, const std::string& beginning) {
  const auto& lines = host.lines();
  const auto found = std::find_if(lines.begin(), lines.end(),
                                  [&](const std::string& line) { return line.starts_with(beginning); });
  return found == lines.end() ? -1 : found - lines.begin();
}

bool did(const RecordingHost& host, const std::string& beginning) {
  return place_of(host, beginning) >= 0;
}

}  // namespace

TEST_CASE("an installation configures everything that was promised") {
  RecordingHost host;
  const auto installed = install(host, kPlan, &kSettings);
  REQUIRE(installed.ok());
  CHECK(installed->fresh);
  CHECK(installed->warnings.empty());
  for (const char* line :
       {"service pgtandem-forwarder as NT SERVICE\\pgtandem-forwarder, automatic start",
        "folder C:\\d\\pgtandem ", "folder C:\\d\\pgtandem\\forwarder ",
        "file C:\\d\\pgtandem\\pgtandem.toml of 5 bytes",
        "recovery: restart after 60 s, 120 s, counted anew after 300 s", "recovery also without a crash",
        "delayed start", "preshutdown: 30 s", "privileges: SeChangeNotifyPrivilege",
        "event source pgtandem-forwarder with the messages of C:\\p\\f.exe", "description: "}) {
    INFO(line);
    CHECK(did(host, line));
  }
}

TEST_CASE(
    "the account exists before access lists name it, and the folder is closed before settings are in it") {
  RecordingHost host;
  REQUIRE(install(host, kPlan, &kSettings).ok());
  CHECK(place_of(host, "service ") < place_of(host, "folder "));
  CHECK(place_of(host, "folder ") < place_of(host, "file "));
}

TEST_CASE("an installation over the old one keeps its settings and says that it was there") {
  RecordingHost host;
  host.set_present();
  const auto installed = install(host, kPlan, nullptr);
  REQUIRE(installed.ok());
  CHECK_FALSE(installed->fresh);
  CHECK_FALSE(did(host, "file "));
}

TEST_CASE("what this Windows does not have is a warning, and the installation goes on") {
  RecordingHost host;
  host.refuse("delayed start");
  host.refuse("privileges");
  const auto installed = install(host, kPlan, &kSettings);
  REQUIRE(installed.ok());
  CHECK(installed->warnings.size() == 2);
  CHECK(did(host, "preshutdown"));
}

TEST_CASE("a needed call that fails takes a fresh service away again, and leaves an old one") {
  for (const char* refused : {"folder ", "file ", "recovery: ", "event source "}) {
    INFO(refused);
    RecordingHost fresh;
    fresh.refuse(refused);
    CHECK_FALSE(install(fresh, kPlan, &kSettings).ok());
    CHECK(did(fresh, "remove service pgtandem-forwarder"));
    CHECK_FALSE(did(fresh, "remove file "));

    RecordingHost old;
    old.set_present();
    old.refuse(refused);
    CHECK_FALSE(install(old, kPlan, &kSettings).ok());
    CHECK_FALSE(did(old, "remove "));
  }
}

TEST_CASE("a service that cannot be made leaves nothing behind") {
  RecordingHost host;
  host.refuse("service ");
  CHECK(install(host, kPlan, &kSettings).error().find("refused: service") != std::string::npos);
  CHECK(host.lines().size() == 1);
}

TEST_CASE("a removal takes everything, stops first, and goes on after an error") {
  RecordingHost host;
  host.refuse("remove event source");
  CHECK(uninstall(host, kPlan, false).error().find("event source") != std::string::npos);
  CHECK(host.lines() ==
        std::vector<std::string>{"stop pgtandem-forwarder", "remove service pgtandem-forwarder",
                                 "remove event source pgtandem-forwarder",
                                 "remove folder C:\\d\\pgtandem\\forwarder with everything in it",
                                 "remove file C:\\d\\pgtandem\\pgtandem.toml",
                                 "remove folder C:\\d\\pgtandem if it is empty"});
}

TEST_CASE("a removal keeps the settings if it is told so") {
  RecordingHost host;
  CHECK(uninstall(host, kPlan, true).ok());
  CHECK_FALSE(did(host, "remove file "));
}
