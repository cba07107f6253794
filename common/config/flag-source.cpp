/// Flags (by cxxopts) and PGTANDEM_... variables.
#include <algorithm>

#include <cxxopts.hpp>

#include "common/config/platform.h"
#include "common/config/sources.h"
#include "common/config/value.h"

namespace pgtandem::config {
namespace {

constexpr std::string_view kConfigVariable = "PGTANDEM_CONFIG";

std::vector<std::string> split_list(const Setting& setting, std::string_view text) {
  const char separator = setting.type == SettingType::access ? ';' : ',';
  std::vector<std::string> items;
  while (!text.empty()) {
    const std::size_t end = text.find(separator);
    std::string_view item = text.substr(0, end);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    items.emplace_back(item);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  }
  return items;
}

/// Adds the text of a flag or variable to the values; a list's items go behind those given by the same source
/// before.
void add_value(const Setting& setting, std::string_view text, const std::string& origin, bool append,
               Values& values, Findings& findings) {
  std::vector<std::string> items{std::string(text)};
  if (is_list(setting.type)) items = split_list(setting, text);
  for (const std::string& item : items) {
    const auto checked = check_value(setting, item);
    if (!checked.ok()) return findings.error(origin, checked.error());
  }
  Value& value = values[setting.name];
  if (!append || !is_list(setting.type)) value.items.clear();
  value.setting = &setting;
  value.origin = origin;
  value.items.insert(value.items.end(), items.begin(), items.end());
}

std::string upper_flag_argument(const Setting& setting) {
  switch (setting.type) {
    case SettingType::choice: {
      std::string words(setting.choices);
      return words;
    }
    case SettingType::node:
      return "a|b";
    case SettingType::endpoint:
    case SettingType::endpoints:
      return "HOST:PORT";
    case SettingType::urls:
      return "URL";
    case SettingType::relays:
      return "HOST:PORT/CONTROL";
    case SettingType::port:
      return "PORT";
    case SettingType::count:
      return "N";
    case SettingType::size:
      return "SIZE";
    case SettingType::duration:
      return "TIME";
    case SettingType::path:
      return "PATH";
    case SettingType::host:
      return "HOST";
    case SettingType::uuid:
      return "UUID";
    case SettingType::disciplines:
      return "DATABASE/ROLE=DISCIPLINE";
    case SettingType::access:
      return "RULE";
    case SettingType::text:
      return "TEXT";
  }
  return "";
}

std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c != '`') out += c;
  }
  return out;
}

std::string option_description(const Setting& setting) {
  std::string text = plain(setting.meaning) + " Default: " + plain(default_text(setting)) + ".";
  const bool range = setting.type != SettingType::choice && setting.type != SettingType::node;
  if (const std::string limits = limits_text(setting); !limits.empty() && range)
    text += " Allowed: " + limits + ".";
  return text;
}

std::string preferred_flag(const Setting& setting) {
  return setting.flag.empty() ? flag_name(setting) : std::string(setting.flag);
}

/// Programs that serve. Windows has services for that.
bool runs_as_daemon(const ProgramText& program) {
  return kHasDaemons && (program.program & (kRelay | kForwarder)) != 0;
}

cxxopts::Options make_options(const ProgramText& program) {
  cxxopts::Options options(program.name, program.description);
  options.set_width(100);
  options.custom_help(program.usage);
  options.add_options("General")("c,config", "Settings file; also variable PGTANDEM_CONFIG.",
                                 cxxopts::value<std::string>(), "FILE");
  options.add_options("General")("print-config",
                                 "Print the settings in force and where they come from, and exit.");
  if (runs_as_daemon(program)) {
    options.add_options("General")("daemon",
                                   "Go to the background when everything is open; errors of the start and the exit "
                                   "status still reach the caller. Needs --log-file.");
    options.add_options("General")("pid-file",
                                   "Write the process's number here; a second instance with the same file is "
                                   "refused.",
                                   cxxopts::value<std::string>(), "FILE");
  }
  options.add_options("General")("h,help", "Print this and exit.");
  options.add_options("General")("V,version", "Print the version and exit.");
  for (const Setting& setting : settings()) {
    if (!(setting.programs & program.program)) continue;
    const std::string_view section = section_of(setting.name);
    std::string names = preferred_flag(setting);
    if (names != flag_name(setting)) names += "," + flag_name(setting);
    const std::string group = section.empty() ? "Settings" : "Settings of [" + std::string(section) + "]";
    options.add_option(group, cxxopts::Option(names, option_description(setting),
                                              cxxopts::value<std::string>(), upper_flag_argument(setting)));
  }
  return options;
}

const Setting* setting_of_flag(const std::string& flag, unsigned program) {
  if (flag.empty()) return nullptr;
  for (const Setting& setting : settings()) {
    if ((setting.programs & program) && (flag == setting.flag || flag == flag_name(setting))) return &setting;
  }
  return nullptr;
}

/// Takes the global options out of the arguments wherever they stand, and leaves the subcommand with the
/// rest.
std::vector<std::string> take_global(const ProgramText& program, int argc, const char* const* argv,
                                     std::vector<std::string>& rest) {
  std::vector<std::string> global;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const std::string flag = argument.starts_with("--") ? argument.substr(2, argument.find('=') - 2) : "";
    const bool value =
        flag == "config" || setting_of_flag(flag, program.program) || (argument == "-c" && rest.empty());
    if (argument == "--") {
      rest.insert(rest.end(), argv + i, argv + argc);
      break;
    }
    if (value) {
      global.push_back(argument);
      if (argument.find('=') == std::string::npos && i + 1 < argc) global.emplace_back(argv[++i]);
    } else if (rest.empty() && argument.starts_with("-")) {
      global.push_back(argument);  // --help and --version before the subcommand, or an error
    } else {
      rest.push_back(argument);
    }
  }
  return global;
}

void tell_unmatched(const ProgramText& program, const std::vector<std::string>& unmatched,
                    Findings& findings) {
  std::vector<std::string> names{"config", "help", "version", "print-config"};
  for (const Setting& setting : settings()) {
    if (setting.programs & program.program) names.push_back(preferred_flag(setting));
  }
  if (runs_as_daemon(program)) names.insert(names.end(), {"daemon", "pid-file"});
  bool after_unknown = false;  // the next word is most likely its value
  for (const std::string& word : unmatched) {
    if (word.starts_with("-")) {
      const std::size_t start = std::min(word.find_first_not_of('-'), word.size());
      const std::string name = word.substr(start, word.find('=') - start);
      findings.error(
          word, "there is no such option" + suggestion(name, names) + " (see " + program.name + " --help)");
    } else if (!after_unknown) {
      findings.error(word, "this word stands alone; settings are given as --name=value");
    }
    after_unknown = word.starts_with("-");
  }
}

}  // namespace

void read_environment(const Environment& environment, unsigned program, Values& values, Findings& findings) {
  std::vector<std::string> names{std::string(kConfigVariable)};
  for (const Setting& setting : settings()) names.push_back(variable_name(setting));
  for (const auto& [name, text] : environment) {
    if (!name.starts_with("PGTANDEM_") || text.empty() || name == kConfigVariable) continue;
    // A copy: clang 14 does not let a lambda use a structured binding.
    const std::string wanted = name;
    const auto found = std::find_if(settings().begin(), settings().end(), [&wanted](const Setting& setting) {
      return variable_name(setting) == wanted;
    });
    if (found == settings().end()) {
      findings.warnings.push_back("the variable " + name + " is no setting and has no effect" +
                                  suggestion(name, names));
    } else if (found->programs & program) {
      add_value(*found, text, name, false, values, findings);
    }
  }
}

CommandLine read_flags(const ProgramText& program, int argc, const char* const* argv, Findings& findings) {
  CommandLine line;
  std::vector<std::string> words;
  if (program.subcommands) {
    words = take_global(program, argc, argv, line.rest);
  } else {
    words.assign(argv + std::min(1, argc), argv + argc);
  }
  std::vector<const char*> raw{program.name.c_str()};
  for (const std::string& word : words) raw.push_back(word.c_str());
  try {
    cxxopts::Options options = make_options(program);
    options.allow_unrecognised_options();
    const cxxopts::ParseResult result = options.parse(int(raw.size()), raw.data());
    for (const cxxopts::KeyValue& pair : result.arguments()) {
      if (const Setting* setting = setting_of_flag(pair.key(), program.program)) {
        add_value(*setting, pair.value(), "--" + pair.key(), true, line.values, findings);
      }
    }
    line.help = result.count("help") > 0;
    line.version = result.count("version") > 0;
    line.print_config = result.count("print-config") > 0;
    line.daemon = result.count("daemon") > 0;
    if (result.count("pid-file")) line.pid_file = result["pid-file"].as<std::string>();
    if (result.count("config")) line.config_file = result["config"].as<std::string>();
    tell_unmatched(program, result.unmatched(), findings);
  } catch (const cxxopts::exceptions::exception& failure) {
    findings.errors.push_back(std::string(failure.what()) + " (see " + program.name + " --help)");
  }
  return line;
}

std::string help_text(const ProgramText& program) {
  return make_options(program).help() +
         "\nLists take several values, separated by commas or by giving the option again. Each setting can "
         "also be\n"
         "given in the file or as a variable (PGTANDEM_ and the name in capitals); a flag overrides a "
         "variable, and\n"
         "a variable overrides the file.\n";
}

std::string suggestion(std::string_view wrong, const std::vector<std::string>& names) {
  constexpr std::size_t kNear = 3;  // edits; more is another word
  std::size_t best = kNear + 1;
  const std::string* nearest = nullptr;
  for (const std::string& name : names) {
    std::vector<std::size_t> row(name.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= wrong.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i;
      for (std::size_t j = 1; j < row.size(); ++j) {
        const std::size_t change = diagonal + (wrong[i - 1] == name[j - 1] ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({change, row[j] + 1, row[j - 1] + 1});
      }
    }
    if (row.back() < best && row.back() < name.size() / 2) {
      best = row.back();
      nearest = &name;
    }
  }
  return nearest ? ", did you mean '" + *nearest + "'?" : "";
}

}  // namespace pgtandem::config
