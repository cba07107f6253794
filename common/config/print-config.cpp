/// --print-config: the settings in force, as a file that can be used as it is.
#include <cstdio>

#include "common/config/sources.h"
#include "common/config/toml-section.h"
#include "common/config/value.h"

namespace pgtandem::config {
namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04X", unsigned(static_cast<unsigned char>(c)));
      out += escape;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string access_tables(const Value& value) {
  std::string out = "\n# from " + value.origin + "\n";
  for (const std::string& item : value.items) {
    const auto rule = parse_access_rule(item);
    out += "[[access]]\naddress = " + quoted(rule->address) + "\ndatabase = " + quoted(rule->database) +
           "\nuser = " + quoted(rule->user) + "\naction = " + quoted(rule->allow ? "allow" : "deny") + "\n";
  }
  return out;
}

std::string setting_line(const Setting& setting, const Values& values) {
  const std::string key(setting.name.substr(setting.name.rfind('.') + 1));
  const auto found = values.find(setting.name);
  if (found != values.end()) {
    return key + " = " + toml_value(setting, found->second.items) + "  # from " + found->second.origin + "\n";
  }
  if (setting.fallback.empty()) return "# " + key + ": " + default_text(setting) + "\n";
  std::vector<std::string> items{std::string(setting.fallback)};
  return "# " + key + " = " + toml_value(setting, items) + "\n";
}

}  // namespace

std::string toml_value(const Setting& setting, const std::vector<std::string>& items) {
  const bool number = setting.type == SettingType::port || setting.type == SettingType::count;
  if (!is_list(setting.type)) return number ? items.front() : quoted(items.front());
  std::string list;
  for (const std::string& item : items) list += (list.empty() ? "" : ", ") + quoted(item);
  return "[" + list + "]";
}

std::string print_values(const Values& values, unsigned program) {
  std::string out = "# Settings in force; those in comments are defaults.\n";
  std::string_view section;
  for (const Setting& setting : settings()) {
    if (!(setting.programs & program)) continue;
    if (setting.type == SettingType::access) {
      const auto found = values.find(setting.name);
      const bool given = found != values.end() && !found->second.items.empty();
      out += given ? access_tables(found->second) : "\n# access: " + default_text(setting) + "\n";
      continue;
    }
    if (section_of(setting.name) != section) {
      section = section_of(setting.name);
      out += "\n[" + std::string(section) + "]\n";
    }
    out += setting_line(setting, values);
  }
  return out;
}

}  // namespace pgtandem::config
