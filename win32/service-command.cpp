#include "win32/service-command.h"

#include <algorithm>
#include <optional>

namespace pgtandem::win32 {
namespace {

std::optional<CommandKind> kind_of(const std::string& word) {
  if (word == "run") return CommandKind::run;
  if (word == "install") return CommandKind::install;
  if (word == "uninstall") return CommandKind::uninstall;
  if (word == "start") return CommandKind::start;
  if (word == "stop") return CommandKind::stop;
  if (word == "reload") return CommandKind::reload;
  if (word == "status") return CommandKind::status;
  if (word == "service") return CommandKind::service;
  return std::nullopt;
}

/// Takes every `flag` out; true if there was one.
bool take(std::vector<std::string>& words, const std::string& flag) {
  return std::erase(words, flag) > 0;
}

bool takes_settings(CommandKind kind) {
  return kind == CommandKind::run || kind == CommandKind::install || kind == CommandKind::service;
}

}  // namespace

Result<ServiceCommand> parse_command(const std::vector<std::string>& words) {
  ServiceCommand command;
  if (!words.empty() && (words[0] == "--help" || words[0] == "-h")) {
    command.kind = CommandKind::help;
    return command;
  }
  command.settings = words;
  if (words.empty() || words[0].starts_with("-")) return command;
  const auto kind = kind_of(words[0]);
  if (!kind) return Error{"'" + words[0] + "' is no command (see --help)"};
  command.kind = *kind;
  command.settings.erase(command.settings.begin());
  if (command.kind == CommandKind::install || command.kind == CommandKind::uninstall)
    command.dry_run = take(command.settings, "--dry-run");
  if (command.kind == CommandKind::uninstall)
    command.keep_settings = take(command.settings, "--keep-settings");
  if (command.kind == CommandKind::service && !command.settings.empty()) {
    command.data_folder = command.settings[0];
    command.settings.erase(command.settings.begin());
  }
  if (!takes_settings(command.kind) && !command.settings.empty())
    return Error{"'" + command.settings[0] + "' has no meaning for " + words[0] + " (see --help)"};
  return command;
}

std::string command_help() {
  return "Commands (Windows):\n"
         "  install [--dry-run] [OPTION...]   make or change the service; the options become its settings "
         "file,\n"
         "                                    without any the present one stays\n"
         "  uninstall [--dry-run] [--keep-settings]\n"
         "                                    stop the service and remove all of it\n"
         "  start, stop                       return when the service runs, or has stopped\n"
         "  reload                            the running service reads its settings again\n"
         "  status                            exit status 0: it runs, 3: it does not, 4: it is not "
         "installed\n"
         "  run [OPTION...]                   run in this console; also without a command\n\n";
}

}  // namespace pgtandem::win32
