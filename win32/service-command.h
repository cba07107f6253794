/// What stands behind the program's name on Windows. Pure.
#pragma once
#include <string>
#include <vector>

#include "common/base/result.h"

namespace pgtandem::win32 {

enum class CommandKind {
  run,        ///< in this console; also without any command
  install,    ///< make or change the service
  uninstall,  ///< remove all of it
  start,
  stop,
  reload,  ///< the running service reads its settings again
  status,
  service,  ///< for the service manager alone
  help,
};

struct ServiceCommand {
  CommandKind kind = CommandKind::run;
  bool dry_run = false;               ///< install, uninstall
  bool keep_settings = false;         ///< uninstall
  std::string data_folder;            ///< service
  std::vector<std::string> settings;  ///< run, install, service: the program's own options
};

/// `words`: the command line behind the program's name.
Result<ServiceCommand> parse_command(const std::vector<std::string>& words);

/// In front of the program's own --help.
std::string command_help();

}  // namespace pgtandem::win32
