/// What a running program does about settings that have changed: which it takes over, which need a restart.
/// Pure.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/sources.h"

namespace pgtandem::config {

/// Every setting of one program, by name, with its value in words; the items of a list a line each.
using SettingTexts = std::map<std::string, std::string, std::less<>>;

SettingTexts setting_texts(const Values& values, unsigned program);

/// Names of settings, in the order of the names.
struct SettingChanges {
  std::vector<std::string> taken_over;
  std::vector<std::string> need_restart;
};

/// Requires that both are of the same program.
SettingChanges changes(const SettingTexts& in_force, const SettingTexts& fresh);

/// What holds after a reload: fresh values where they are taken over, the old ones elsewhere.
SettingTexts after_reload(SettingTexts in_force, const SettingTexts& fresh);

/// "a, b, c"
std::string joined(const std::vector<std::string>& names);

}  // namespace pgtandem::config
