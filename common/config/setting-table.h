/// The one table of settings: name, type, meaning, default and limits. The file, the PGTANDEM_... variables,
/// the flags,
/// --help and the test of docs/configuration.md are all driven by it.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace pgtandem::config {

enum class SettingType {
  text,         ///< any text
  path,         ///< a file or folder
  host,         ///< a host name or an address, without a port
  node,         ///< "a" or "b"
  uuid,         ///< 8-4-4-4-12 hexadecimal digits
  endpoint,     ///< host:port
  endpoints,    ///< a list of host:port
  urls,         ///< a list of http://host:port or https://host:port
  relays,       ///< a list of host:relay_port/control_port
  port,         ///< a TCP port
  count,        ///< a whole number
  size,         ///< bytes: a number, or text with KiB, MiB, GiB
  duration,     ///< text with ms, s, m or h
  choice,       ///< one word of a list
  disciplines,  ///< a list of DATABASE/ROLE=DISCIPLINE
  access,       ///< tables [[access]]; as flag "ADDRESS DATABASE USER ACTION"
};

/// Which programs use a setting: a set of bits.
constexpr unsigned kRelay = 1;
constexpr unsigned kForwarder = 2;
constexpr unsigned kTool = 4;

struct Setting {
  std::string_view name;  ///< in the file, sections joined by dots
  SettingType type;
  unsigned programs = 0;
  std::string_view flag{};          ///< a second, shorter flag without dashes; empty: none
  std::string_view fallback{};      ///< the default as text; empty: none, see `default_note`
  std::uint64_t min = 0;            ///< count and port: number; size: bytes; duration: milliseconds
  std::uint64_t max = 0;            ///< 0: no limits
  std::string_view choices{};       ///< for choice: the words, separated by '|'
  std::string_view default_note{};  ///< what holds without a value, where it depends on other settings
  std::string_view meaning{};       ///< one sentence or two
  std::string_view at_limits{};     ///< what happens when it is reached while running; empty: nothing to say
  bool reloads = false;             ///< a running program takes a new value over (SIGHUP); else it needs a restart
};

/// In the order of the documentation: the settings of no section first, then section by section.
std::span<const Setting> settings();
/// nullptr where there is none of that name.
const Setting* find_setting(std::string_view name);

/// "nodes.a.host" -> "nodes-a-host"; "standby_timeout" -> "standby-timeout".
std::string flag_name(const Setting& setting);
/// "nodes.a.host" -> "PGTANDEM_NODES_A_HOST".
std::string variable_name(const Setting& setting);
/// "duration", "list of host:port", ...
std::string_view type_text(SettingType type);
/// "milliseconds (ms), seconds (s), ..." for durations, "bytes" for sizes; empty for what has no unit.
std::string_view unit_text(SettingType type);
/// The allowed values in words; empty where everything is allowed.
std::string limits_text(const Setting& setting);
/// The default in words: the value, the note, or "none".
std::string default_text(const Setting& setting);
/// The section of a name: "nodes.a" of "nodes.a.host", "" of "node".
std::string_view section_of(std::string_view name);
bool is_list(SettingType type);

}  // namespace pgtandem::config
