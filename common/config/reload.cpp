#include "common/config/reload.h"

namespace pgtandem::config {

SettingTexts setting_texts(const Values& values, unsigned program) {
  SettingTexts texts;
  for (const Setting& setting : settings()) {
    if (!(setting.programs & program)) continue;
    const auto given = values.find(setting.name);
    std::string& text = texts[std::string(setting.name)];
    if (given == values.end()) {
      text = setting.fallback;
    } else {
      for (const std::string& item : given->second.items) text += (text.empty() ? "" : "\n") + item;
    }
  }
  return texts;
}

SettingChanges changes(const SettingTexts& in_force, const SettingTexts& fresh) {
  SettingChanges found;
  for (const auto& [name, text] : fresh) {
    if (in_force.at(name) == text) continue;
    (find_setting(name)->reloads ? found.taken_over : found.need_restart).push_back(name);
  }
  return found;
}

SettingTexts after_reload(SettingTexts in_force, const SettingTexts& fresh) {
  for (auto& [name, text] : in_force) {
    if (find_setting(name)->reloads) text = fresh.at(name);
  }
  return in_force;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace pgtandem::config
