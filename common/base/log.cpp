#include "common/base/log.h"

#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

#include <memory>

namespace pgtandem::log {
namespace {

constexpr std::size_t kOldFilesKept = 3;

struct State {
  std::shared_ptr<spdlog::logger> logger = std::make_shared<spdlog::logger>(
      "pgtandem", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  bool json = false;

  State() { set_pattern(); }
  void set_pattern() {
    logger->set_pattern(json ? "{\"time\":\"%Y-%m-%dT%H:%M:%S.%e%z\",\"level\":\"%l\",%v}"
                             : "%Y-%m-%dT%H:%M:%S.%e%z %l %v");
    logger->flush_on(spdlog::level::info);
  }
};

State& state() {
  static State instance;
  return instance;
}

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug: return spdlog::level::debug;
    case Level::info: return spdlog::level::info;
    case Level::warning: return spdlog::level::warn;
    case Level::error: return spdlog::level::err;
  }
  return spdlog::level::info;
}

/// JSON's escaping does for both forms: quotes, backslashes and control characters; invalid UTF-8 is replaced.
std::string json_string(std::string_view value) {
  return nlohmann::json(std::string(value)).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

bool is_plain(std::string_view value) {
  for (const char c : value) {
    const bool ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    std::string_view("._-:/@+%[],").find(c) != std::string_view::npos;
    if (!ok) return false;
  }
  return !value.empty();
}

}  // namespace

Result<void> open(const Options& options) {
  State& s = state();
  try {
    if (!options.file.empty()) {
      s.logger = std::make_shared<spdlog::logger>(
          "pgtandem", std::make_shared<spdlog::sinks::rotating_file_sink_mt>(options.file, options.rotate_bytes,
                                                                             kOldFilesKept));
    }
  } catch (const spdlog::spdlog_ex& e) {
    return Error{"cannot open the log file '" + options.file + "': " + e.what()};
  }
  s.json = options.json;
  s.set_pattern();
  s.logger->set_level(to_spdlog(options.level));
  return {};
}

Result<Level> parse_level(std::string_view text) {
  if (text == "debug") return Level::debug;
  if (text == "info") return Level::info;
  if (text == "warning") return Level::warning;
  if (text == "error") return Level::error;
  return Error{"'" + std::string(text) + "' is not a log level: use debug, info, warning or error"};
}

void write(Level level, std::string_view event, Fields fields) {
  State& s = state();
  if (!s.logger->should_log(to_spdlog(level))) return;
  std::string line;
  if (s.json) {
    line = "\"event\":" + json_string(event);
    for (const Field& f : fields) line += "," + json_string(f.key) + ":" + json_string(f.value);
  } else {
    line = event;
    for (const Field& f : fields) {
      line.append(" ").append(f.key).append("=").append(is_plain(f.value) ? f.value : json_string(f.value));
    }
  }
  s.logger->log(to_spdlog(level), "{}", line);
}

}  // namespace pgtandem::log
