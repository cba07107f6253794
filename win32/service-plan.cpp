#include "win32/service-plan.h"

namespace pgtandem::win32 {
namespace {

using namespace std::chrono_literals;

/// The account's identifier follows from the service's name alone: S-1-5-80 and the SHA-1 of the name in
/// capitals. (A test computes it anew.)
constexpr char kForwarderAccountSid[] = "S-1-5-80-414200030-3865557709-2612267732-2031080296-2884649754";

/// Owner: the administrators. Full access for SYSTEM and the administrators, `rights` for the service, nobody
/// else; "P": nothing inherited; "OICI": files and folders inside get the same.
std::string access_list(const std::string& rights) {
  return "O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;" + rights + ";;;" + kForwarderAccountSid + ")";
}

constexpr char kReadAndExecute[] = "0x1200a9";
constexpr char kModify[] = "0x1301bf";

}  // namespace

ServicePlan forwarder_plan(const ServicePlaces& places) {
  ServicePlan plan;
  plan.name = kForwarderService;
  plan.display_name = "pgtandem forwarder";
  plan.description =
      "Listens where programs expect their PostgreSQL database and forwards every connection to the current "
      "master.";
  plan.account = std::string("NT SERVICE\\") + kForwarderService;
  plan.privileges = {"SeChangeNotifyPrivilege"};
  plan.restart_after = {60s, 120s};
  plan.failures_forgotten_after = 300s;
  plan.stop_limit = kStopLimit;
  plan.event_source = kForwarderService;
  plan.message_file = places.program;
  const std::string folder = places.program_data + "\\pgtandem";
  plan.settings_file = folder + "\\pgtandem.toml";
  plan.data_folder = folder + "\\forwarder";
  plan.folders = {{folder, access_list(kReadAndExecute)}, {plan.data_folder, access_list(kModify)}};
  plan.command_line = "\"" + places.program + "\" service \"" + plan.data_folder + "\" --config \"" +
                      plan.settings_file + "\"";
  return plan;
}

std::string default_state_file(const std::string& data_folder) {
  return data_folder + "\\forwarder.state";
}

std::string default_log_file(const std::string& data_folder) {
  return data_folder + "\\forwarder.log";
}

}  // namespace pgtandem::win32
