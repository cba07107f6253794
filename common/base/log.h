/// The log: one line an event, `time level event key=value ...`, or the same as JSON. Thread-safe.
/// Values are quoted where needed and control characters escaped, so that no peer can forge a line.
/// Never pass a secret: there is no filter behind this.
#pragma once
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace pgtandem::log {

enum class Level { debug, info, warning, error };

struct Field {
  std::string_view key;
  std::string value;

  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(v) {}
  Field(std::string_view k, const std::string& v) : key(k), value(v) {}
  Field(std::string_view k, std::int64_t v) : key(k), value(std::to_string(v)) {}
  Field(std::string_view k, std::uint64_t v) : key(k), value(std::to_string(v)) {}
  Field(std::string_view k, int v) : key(k), value(std::to_string(v)) {}
  Field(std::string_view k, unsigned v) : key(k), value(std::to_string(v)) {}
};
using Fields = std::initializer_list<Field>;

struct Options {
  Level level = Level::info;
  bool json = false;
  std::string file;  ///< empty: standard error
  std::uint64_t rotate_bytes = 16U << 20;  ///< a file is rotated at this size; three old ones are kept
};

/// At the start, and again to open the file anew. Without it: standard error. An error changes nothing.
Result<void> open(const Options& options);
Result<Level> parse_level(std::string_view text);

/// Sees every line too, on the thread that writes it: the event log of a system that has one. Set it before there are
/// threads; it must not write to the log.
using Observer = std::function<void(Level, std::string_view event, Fields fields)>;
void set_observer(Observer observer);

/// `event` is a stable kebab-case name that scripts may look for.
void write(Level level, std::string_view event, Fields fields);
inline void debug(std::string_view event, Fields fields = {}) { write(Level::debug, event, fields); }
inline void info(std::string_view event, Fields fields = {}) { write(Level::info, event, fields); }
inline void warning(std::string_view event, Fields fields = {}) { write(Level::warning, event, fields); }
inline void error(std::string_view event, Fields fields = {}) { write(Level::error, event, fields); }

}  // namespace pgtandem::log
