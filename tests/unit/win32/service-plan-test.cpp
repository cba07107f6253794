#include "win32/service-plan.h"

#include <catch2/catch.hpp>

using namespace pgtandem::win32;
using namespace std::chrono_literals;

namespace {

const ServicePlan kPlan = forwarder_plan(
    {.program = "C:\\Program Files\\pgtandem\\pgtandem-forwarder.exe", .program_data = "C:\\ProgramData"});

}  // namespace

TEST_CASE("the service runs by its own account, with the privileges of an ordinary user") {
  CHECK(kPlan.account == "NT SERVICE\\pgtandem-forwarder");
  CHECK(kPlan.privileges == std::vector<std::string>{"SeChangeNotifyPrivilege"});
}

TEST_CASE("a failure is followed by a restart after 60 s, then 120 s, counted anew after 300 s") {
  CHECK(kPlan.restart_after == std::vector<std::chrono::seconds>{60s, 120s});
  CHECK(kPlan.failures_forgotten_after == 300s);
}

TEST_CASE("paths with blanks reach the service whole") {
  CHECK(kPlan.command_line ==
        "\"C:\\Program Files\\pgtandem\\pgtandem-forwarder.exe\" service "
        "\"C:\\ProgramData\\pgtandem\\forwarder\" --config \"C:\\ProgramData\\pgtandem\\pgtandem.toml\"");
}

TEST_CASE(
    "only SYSTEM, administrators and the service itself reach its folders, and it writes to one alone") {
  // The SHA-1 of "PGTANDEM-FORWARDER" in UTF-16, as five numbers: how Windows names a service's account.
  const std::string sid = "S-1-5-80-414200030-3865557709-2612267732-2031080296-2884649754";
  const std::string common = "O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)";
  REQUIRE(kPlan.folders.size() == 2);
  CHECK(kPlan.folders[0].path == "C:\\ProgramData\\pgtandem");
  CHECK(kPlan.folders[0].access == common + "(A;OICI;0x1200a9;;;" + sid + ")");
  CHECK(kPlan.folders[1].path == kPlan.data_folder);
  CHECK(kPlan.folders[1].access == common + "(A;OICI;0x1301bf;;;" + sid + ")");
  CHECK(default_state_file(kPlan.data_folder) == "C:\\ProgramData\\pgtandem\\forwarder\\forwarder.state");
  CHECK(default_log_file(kPlan.data_folder, "forwarder") ==
        "C:\\ProgramData\\pgtandem\\forwarder\\forwarder.log");
}

TEST_CASE("the relay's service has an account, settings and secrets of its own") {
  const ServicePlan relay =
      relay_plan({.program = "C:\\p\\pgtandem-relay.exe", .program_data = "C:\\ProgramData"});
  CHECK(relay.account == "NT SERVICE\\pgtandem-relay");
  CHECK(relay.settings_file == "C:\\ProgramData\\pgtandem-relay\\pgtandem.toml");
  const std::string sid = "S-1-5-80-3975936885-4290531885-4009145808-4122021367-1962619463";
  for (const ProtectedFolder& folder : relay.folders)
    CHECK(folder.access.find(";;;" + sid + ")") != std::string::npos);
  for (const ProtectedFolder& folder : kPlan.folders) CHECK(folder.access.find(sid) == std::string::npos);
}
