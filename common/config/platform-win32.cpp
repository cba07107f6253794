#include <cstdlib>
#include <fstream>

#include "common/config/load.h"
#include "common/config/platform.h"
#include "common/config/secret-file.h"

namespace pgtandem {
namespace {

/// A secret that is larger is a wrong path.
constexpr std::size_t kMaxSecretBytes = 64U << 10;

}  // namespace

Environment process_environment() {
  Environment environment;
  for (char** entry = _environ; entry && *entry; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=', 1);  // names like "=C:" exist
    if (equals != std::string_view::npos)
      environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return environment;
}

/// Access is a matter of the folder's access list here; the installer sets it.
Result<Secret> read_secret_file(const std::string& path, std::size_t min_size) {
  const auto failure = [&](const std::string& what) {
    return Error{"the secret file '" + path + "' " + what};
  };
  std::ifstream file(path, std::ios::binary);
  if (!file) return failure("cannot be opened");
  std::string content(kMaxSecretBytes + 1, '\0');
  file.read(content.data(), std::streamsize(content.size()));
  std::size_t size = std::size_t(file.gcount());
  const bool too_large = size > kMaxSecretBytes;
  if (size > 0 && content[size - 1] == '\n') --size;
  if (size > 0 && content[size - 1] == '\r') --size;
  Secret secret{std::string_view(content).substr(0, size)};
  clear_memory(content.data(), content.size());
  if (too_large) return failure("is larger than 64 KiB, which is no secret; check the path");
  if (size < min_size) {
    return failure("holds " + std::to_string(size) + " bytes, at least " + std::to_string(min_size) +
                   " are needed");
  }
  return secret;
}

namespace config {

std::string current_user() {
  const char* user = std::getenv("USERNAME");
  return user ? user : "";
}

std::string home_folder() {
  const char* home = std::getenv("USERPROFILE");
  return home ? home : "";
}

}  // namespace config
}  // namespace pgtandem
