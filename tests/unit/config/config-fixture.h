/// Command lines and files for the tests of settings.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>
#include <vector>

#include "common/config/load.h"

namespace pgtandem::test {

/// A folder that goes away with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pgtandem-config-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string write(const std::string& name, const std::string& content) const {
    const std::string file = (path_ / name).string();
    std::ofstream(file, std::ios::binary) << content;
    return file;
  }
  std::string path(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

class CommandLine {
 public:
  explicit CommandLine(const std::vector<std::string>& words) : words_(words) {
    words_.insert(words_.begin(), "program");
    for (const std::string& word : words_) raw_.push_back(word.c_str());
  }
  int argc() const { return int(raw_.size()); }
  const char* const* argv() const { return raw_.data(); }

 private:
  std::vector<std::string> words_;
  std::vector<const char*> raw_;
};

inline Result<Loaded<RelaySettings>> load_relay(const std::vector<std::string>& words,
                                                const Environment& env = {}) {
  const CommandLine line(words);
  return load_relay_settings(line.argc(), line.argv(), env);
}
inline Result<Loaded<ForwarderSettings>> load_forwarder(const std::vector<std::string>& words,
                                                        const Environment& env = {}) {
  const CommandLine line(words);
  return load_forwarder_settings(line.argc(), line.argv(), env);
}
inline Result<Loaded<ToolSettings>> load_tool(const std::vector<std::string>& words,
                                              const Environment& env = {}) {
  const CommandLine line(words);
  return load_tool_settings(line.argc(), line.argv(), "COMMANDS", env);
}

/// The error's text, or "" where there is none.
template <typename T>
std::string error_of(const Result<T>& result) {
  return result.ok() ? "" : result.error();
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace pgtandem::test
