#include "win32/service-plan.h"

namespace pgtandem::win32 {
namespace {

using namespace std::chrono_literals;

// The accounts' identifiers follow from the services' names alone: S-1-5-80 and the SHA-1 of the name in
// capitals. (A test computes them anew.)
constexpr char kForwarderAccountSid[] = "S-1-5-80-414200030-3865557709-2612267732-2031080296-2884649754";
constexpr char kRelayAccountSid[] = "S-1-5-80-3975936885-4290531885-4009145808-4122021367-1962619463";

constexpr char kReadAndExecute[] = "0x1200a9";
constexpr char kModify[] = "0x1301bf";

/// Owner: the administrators. Full access for SYSTEM and the administrators, `rights` for the service, nobody
/// else; "P": nothing inherited; "OICI": files and folders inside get the same.
std::string access_list(const std::string& rights, const std::string& account) {
  return "O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;" + rights + ";;;" + account + ")";
}

/// What both services have in common. `folder`: the settings'; `data`: the one below it for state and log.
ServicePlan plan_of(const std::string& name, const std::string& sid, const ServicePlaces& places,
                    const std::string& folder, const std::string& data) {
  ServicePlan plan;
  plan.name = name;
  plan.account = "NT SERVICE\\" + name;
  plan.privileges = {"SeChangeNotifyPrivilege"};
  plan.restart_after = {60s, 120s};
  plan.failures_forgotten_after = 300s;
  plan.stop_limit = kStopLimit;
  plan.event_source = name;
  plan.message_file = places.program;
  const std::string path = places.program_data + "\\" + folder;
  plan.settings_file = path + "\\pgtandem.toml";
  plan.data_folder = path + "\\" + data;
  plan.folders = {{path, access_list(kReadAndExecute, sid)}, {plan.data_folder, access_list(kModify, sid)}};
  plan.command_line = "\"" + places.program + "\" service \"" + plan.data_folder + "\" --config \"" +
                      plan.settings_file + "\"";
  return plan;
}

}  // namespace

ServicePlan forwarder_plan(const ServicePlaces& places) {
  ServicePlan plan = plan_of(kForwarderService, kForwarderAccountSid, places, "pgtandem", "forwarder");
  plan.display_name = "pgtandem forwarder";
  plan.description =
      "Listens where programs expect their PostgreSQL database and forwards every connection to the current "
      "master.";
  return plan;
}

ServicePlan relay_plan(const ServicePlaces& places) {
  ServicePlan plan = plan_of(kRelayService, kRelayAccountSid, places, "pgtandem-relay", "state");
  plan.display_name = "pgtandem relay";
  plan.description = "Keeps two PostgreSQL servers equal: sends what clients send to both.";
  return plan;
}

std::string default_state_file(const std::string& data_folder) {
  return data_folder + "\\forwarder.state";
}

std::string default_log_file(const std::string& data_folder, const std::string& name) {
  return data_folder + "\\" + name + ".log";
}

}  // namespace pgtandem::win32
