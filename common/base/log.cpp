#include "common/base/log.h"

#include <atomic>
#include <memory>
#include <mutex>

#include <nlohmann/json.hpp>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace pgtandem::log {
namespace {

constexpr std::size_t kOldFilesKept = 3;

/// Where lines go, and how they look. Replaced as a whole, so that a line is of one make.
struct Output {
  std::shared_ptr<spdlog::logger> logger;
  bool json = false;
};

std::shared_ptr<const Output> make_output(const std::shared_ptr<spdlog::sinks::sink>& sink, bool json) {
  auto logger = std::make_shared<spdlog::logger>("pgtandem", sink);
  logger->set_level(spdlog::level::trace);  // write() has decided already
  logger->set_pattern(json ? "{\"time\":\"%Y-%m-%dT%H:%M:%S.%e%z\",\"level\":\"%l\",%v}"
                           : "%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  logger->flush_on(spdlog::level::info);
  return std::make_shared<const Output>(Output{std::move(logger), json});
}

/// The state of the whole process: open() may replace the output while other threads write.
struct State {
  std::atomic<Level> level{Level::info};
  std::mutex mutex;
  Observer observer;
  std::shared_ptr<const Output> output =
      make_output(std::make_shared<spdlog::sinks::stderr_sink_mt>(), false);

  std::shared_ptr<const Output> current() {
    const std::lock_guard lock(mutex);
    return output;
  }
  void replace(std::shared_ptr<const Output> fresh) {
    const std::lock_guard lock(mutex);
    output.swap(fresh);
  }
};

State& state() {
  static State instance;
  return instance;
}

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warning:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

/// JSON's escaping does for both forms: quotes, backslashes and control characters; invalid UTF-8 is
/// replaced.
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
    std::shared_ptr<spdlog::sinks::sink> sink;
    if (options.file.empty()) {
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    } else {
      sink = std::make_shared<spdlog::sinks::rotating_file_sink_mt>(options.file, options.rotate_bytes,
                                                                    kOldFilesKept);
    }
    s.replace(make_output(sink, options.json));
  } catch (const spdlog::spdlog_ex& e) {
    return Error{"cannot open the log file '" + options.file + "': " + e.what()};
  }
  s.level = options.level;
  return {};
}

Result<Level> parse_level(std::string_view text) {
  if (text == "debug") return Level::debug;
  if (text == "info") return Level::info;
  if (text == "warning") return Level::warning;
  if (text == "error") return Level::error;
  return Error{"'" + std::string(text) + "' is not a log level: use debug, info, warning or error"};
}

void set_observer(Observer observer) {
  state().observer = std::move(observer);
}

void write(Level level, std::string_view event, Fields fields) {
  State& s = state();
  if (level < s.level.load(std::memory_order_relaxed)) return;
  if (s.observer) s.observer(level, event, fields);
  const std::shared_ptr<const Output> output = s.current();
  std::string line;
  if (output->json) {
    line = "\"event\":" + json_string(event);
    for (const Field& f : fields) line += "," + json_string(f.key) + ":" + json_string(f.value);
  } else {
    line = event;
    for (const Field& f : fields) {
      line.append(" ").append(f.key).append("=").append(is_plain(f.value) ? f.value : json_string(f.value));
    }
  }
  output->logger->log(to_spdlog(level), "{}", line);
}

}  // namespace pgtandem::log
