/// The TOML file: settings by their dotted names, and the array of tables [[access]].
#include <algorithm>
#include <fstream>

#include "common/config/sources.h"
#include "common/config/toml-parser.h"
#include "common/config/value.h"

namespace pgtandem::config {
namespace {

/// A configuration of that size is a mistake (a wrong path), and need not be read into memory.
constexpr std::size_t kMaxFileBytes = 1U << 20;

class FileReader {
 public:
  FileReader(const std::string& name, Values& values, Findings& findings)
      : name_(name), values_(values), findings_(findings) {}

  void read_table(const toml::table& table, const std::string& prefix) {
    for (const auto& [key, node] : table) {
      const std::string name = prefix + std::string(key.str());
      const std::string origin = at(key.source());
      if (name == "access") {
        read_access(node, origin);
      } else if (is_section(name)) {
        read_section(node, name, origin);
      } else if (const Setting* setting = find_setting(name)) {
        read_setting(*setting, node, origin);
      } else {
        findings_.error(origin, unknown(prefix, std::string(key.str())));
      }
    }
  }

 private:
  std::string at(const toml::source_region& source) const {
    return name_ + ":" + std::to_string(source.begin.line);
  }

  static bool is_section(const std::string& name) {
    for (const Setting& setting : settings()) {
      if (setting.name.starts_with(name + ".")) return true;
    }
    return false;
  }

  static std::string unknown(const std::string& prefix, const std::string& key) {
    std::vector<std::string> names;
    for (const Setting& setting : settings()) {
      if (!setting.name.starts_with(prefix)) continue;
      const std::string_view rest = setting.name.substr(prefix.size());
      const std::string word(rest.substr(0, rest.find('.')));
      if (names.empty() || names.back() != word) names.push_back(word);
    }
    std::string list;
    for (const std::string& word : names) list += (list.empty() ? "" : ", ") + word;
    const std::string where =
        prefix.empty() ? "outside the sections" : "in [" + prefix.substr(0, prefix.size() - 1) + "]";
    return "there is no key '" + key + "' " + where + suggestion(key, names) + " (known here: " + list + ")";
  }

  void read_section(const toml::node& node, const std::string& name, const std::string& origin) {
    if (const toml::table* table = node.as_table()) {
      read_table(*table, name + ".");
    } else {
      findings_.error(origin, "'" + name + "' is a section: write [" + name + "]");
    }
  }

  void read_setting(const Setting& setting, const toml::node& node, const std::string& origin) {
    Value value{&setting, {}, origin};
    if (!is_list(setting.type)) {
      if (auto text = item_text(setting, node, origin)) value.items.push_back(*text);
    } else if (const toml::array* array = node.as_array()) {
      for (const toml::node& item : *array) {
        if (auto text = item_text(setting, item, at(item.source()))) value.items.push_back(*text);
      }
      if (value.items.size() != array->size()) return;  // told already
    } else {
      findings_.error(origin,
                      std::string(setting.name) + " must be an array of texts, as [\"...\", \"...\"]");
    }
    if (value.items.empty() && !node.is_array()) return;
    values_[setting.name] = std::move(value);
  }

  /// The node as checked text; tells an error and gives nothing if its type or value is wrong.
  std::optional<std::string> item_text(const Setting& setting, const toml::node& node,
                                       const std::string& origin) {
    const bool number = setting.type == SettingType::port || setting.type == SettingType::count;
    const bool either = setting.type == SettingType::size;
    std::string text;
    if (const auto* integer = node.as_integer(); integer && (number || either)) {
      text = std::to_string(integer->get());
    } else if (const auto* string = node.as_string(); string && !number) {
      text = string->get();
    } else {
      findings_.error(origin, std::string(setting.name) + " must be " + wanted(setting, number, either));
      return std::nullopt;
    }
    const auto checked = check_value(setting, text);
    if (!checked.ok()) {
      findings_.error(origin, std::string(setting.name) + ": " + checked.error());
      return std::nullopt;
    }
    return text;
  }

  static std::string wanted(const Setting& setting, bool number, bool either) {
    const std::string limits = limits_text(setting);
    const std::string allowed = limits.empty() ? "" : " (" + limits + ")";
    if (number) return "a number" + allowed;
    if (either) return "a number of bytes or a text as \"256KiB\"" + allowed;
    if (setting.type == SettingType::duration) return "a text with a unit, as \"2s\" or \"500ms\"" + allowed;
    return "a text in quotes" + allowed;
  }

  void read_access(const toml::node& node, const std::string& origin) {
    Value value{find_setting("access"), {}, origin};
    const toml::array* array = node.as_array();
    if (!array || (!array->empty() && !array->is_homogeneous<toml::table>())) {
      return findings_.error(origin,
                             "access is written as tables: [[access]] with address, database, user, action");
    }
    bool complete = true;
    for (const toml::node& item : *array) {
      const auto rule = access_text(*item.as_table(), at(item.source()));
      complete = complete && rule;
      if (rule) value.items.push_back(*rule);
    }
    if (complete) values_["access"] = std::move(value);
  }

  std::optional<std::string> access_text(const toml::table& table, const std::string& origin) {
    static const std::vector<std::string> kKeys{"address", "database", "user", "action"};
    const std::size_t before = findings_.errors.size();
    for (const auto& [key, node] : table) {
      if (std::find(kKeys.begin(), kKeys.end(), key.str()) == kKeys.end()) {
        findings_.error(at(key.source()), "there is no key '" + std::string(key.str()) + "' in [[access]]" +
                                              suggestion(key.str(), kKeys) +
                                              " (known here: address, database, user, action)");
      } else if (!node.is_string()) {
        findings_.error(at(key.source()), "access." + std::string(key.str()) + " must be a text in quotes");
      }
    }
    std::string rule;
    for (const std::string& key : kKeys) {
      const std::string word =
          table[key].value_or(std::string(key == "database" || key == "user" ? "all" : ""));
      if (word.empty() || word.find_first_of(" \t\n;") != std::string::npos) {
        findings_.error(origin, "a rule of [[access]] needs " + key + ", without blanks or semicolons in it");
      }
      rule += (rule.empty() ? "" : " ") + word;
    }
    if (findings_.errors.size() == before) {
      const auto checked = check_value(*find_setting("access"), rule);
      if (checked.ok()) return rule;
      findings_.error(origin, "access: " + checked.error());
    }
    return std::nullopt;
  }

  const std::string& name_;
  Values& values_;
  Findings& findings_;
};

/// The line where the parser's assumption breaks: it reads from front to back, so the shortest part that
/// breaks it ends there.
std::size_t broken_line(std::string_view text) {
  const auto breaks = [](std::string_view part) {
    try {
      static_cast<void>(toml::parse(part));
    } catch (const toml::parse_error&) {
    } catch (const BrokenAssumption&) {
      return true;
    }
    return false;
  };
  std::size_t good = 0, bad = text.size();
  while (bad - good > 1) {
    const std::size_t middle = good + (bad - good) / 2;
    (breaks(text.substr(0, middle)) ? bad : good) = middle;
  }
  return 1 + std::size_t(std::count(text.begin(), text.begin() + std::ptrdiff_t(good), '\n'));
}

}  // namespace

void read_toml(std::string_view text, const std::string& name, Values& values, Findings& findings) {
  try {
    const toml::table table = toml::parse(text, name);
    FileReader(name, values, findings).read_table(table, "");
  } catch (const toml::parse_error& failure) {
    findings.error(name + ":" + std::to_string(failure.source().begin.line),
                   std::string(failure.description()));
  } catch (const BrokenAssumption&) {
    findings.error(name + ":" + std::to_string(broken_line(text)),
                   "a key or a name in brackets is empty or wrong");
  }
}

void read_file(const std::string& path, Values& values, Findings& findings) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxFileBytes + 1, '\0');
  // A folder opens and then fails to be read.
  if (!file || (!file.read(text.data(), std::streamsize(text.size())) && !file.eof())) {
    return findings.error(path, "cannot be read; check the path and its permissions");
  }
  text.resize(std::size_t(file.gcount()));
  if (text.size() > kMaxFileBytes)
    return findings.error(path, "is larger than 1 MiB: this is no configuration");
  read_toml(text, path, values, findings);
}

}  // namespace pgtandem::config
