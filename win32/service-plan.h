/// What a Windows service of this project is to look like: everything that its installation configures. Pure:
/// the calls are in service-host-win32.cpp.
#pragma once
#include <chrono>
#include <string>
#include <vector>

namespace pgtandem::win32 {

/// A folder whose access list is set as a whole; nothing is inherited from above it.
struct ProtectedFolder {
  std::string path;
  std::string access;  ///< security descriptor in SDDL
};

/// A Win32 service program with one service in it.
struct ServicePlan {
  std::string name;
  std::string display_name;
  std::string description;
  std::string command_line;  ///< as the service manager starts it, the program's path in quotes
  std::string account;       ///< a virtual account: the system makes it with the service, it has no password
  /// SeChangeNotifyPrivilege alone: the account can do nothing that an ordinary user cannot.
  std::vector<std::string> privileges;
  /// The first failure, the second and every later one.
  std::vector<std::chrono::seconds> restart_after;
  /// Failures are counted anew after this time without one.
  std::chrono::seconds failures_forgotten_after{};
  /// How long the system's shutdown waits for it; also the longest stop.
  std::chrono::seconds stop_limit{};
  std::string event_source;
  std::string message_file;  ///< the program that has the message table
  std::vector<ProtectedFolder> folders;
  std::string settings_file;
  std::string data_folder;  ///< state and log: the one folder that the service may write to
};

/// Where things are on this machine.
struct ServicePlaces {
  std::string program;       ///< full path of the .exe
  std::string program_data;  ///< %ProgramData%
};

inline constexpr char kForwarderService[] = "pgtandem-forwarder";
inline constexpr char kRelayService[] = "pgtandem-relay";
/// A stop takes no longer: an installer and an operator wait this long for it.
inline constexpr std::chrono::seconds kStopLimit{30};

ServicePlan forwarder_plan(const ServicePlaces& places);
/// In a folder beside the forwarder's: each account reads its own settings and secrets only.
ServicePlan relay_plan(const ServicePlaces& places);

/// The forwarder's state file, and the log file `<name>.log`, of a service whose settings name none. The
/// folder comes with the service's command line: the environment of a service need not be that of the one who
/// installed it.
std::string default_state_file(const std::string& data_folder);
std::string default_log_file(const std::string& data_folder, const std::string& name);

}  // namespace pgtandem::win32
