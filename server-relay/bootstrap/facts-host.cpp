#include <filesystem>
#include <locale.h>
#include <regex>
#include <sys/statvfs.h>

#include "server-relay/bootstrap/child-process.h"
#include "server-relay/bootstrap/facts.h"

namespace pgtandem::bootstrap {
namespace {

namespace fs = std::filesystem;

constexpr auto kVersionLimit = std::chrono::seconds(10);

/// The data directory is closed to everyone but its server; a folder above it tells the same file system
/// unless the directory is a mount point of its own, in which case its own entry can still be asked.
void add_free_bytes(ServerFacts& facts) {
  for (fs::path path = facts.data_directory; !path.empty(); path = path.parent_path()) {
    struct statvfs info {};
    if (::statvfs(path.c_str(), &info) == 0) {
      facts.free_bytes = std::uint64_t(info.f_bavail) * info.f_frsize;
      facts.free_bytes_known = true;
      return;
    }
    if (path == path.root_path()) return;
  }
}

void add_client_version(ServerFacts& facts, const std::string& program) {
  Result<ChildProcess> child =
      ChildProcess::start({{program, "--version"}, child_environment({}), false, true});
  if (!child) {
    facts.client_error = child.error();
    return;
  }
  const ChildExit exit = child->wait(kVersionLimit);
  std::string text;
  while (child->read_stdout(text, 4096)) continue;
  std::smatch match;
  static const std::regex kVersion(R"(\) (\d+(\.\d+)?))");
  if (exit.ok() && std::regex_search(text, match, kVersion)) {
    facts.client_version = match[1];
  } else {
    facts.client_error = program + " --version ended with " + exit.text() + ": " + child->error_text();
  }
}

bool has_locale(const std::string& name) {
  const locale_t locale = ::newlocale(LC_COLLATE_MASK | LC_CTYPE_MASK, name.c_str(), nullptr);
  if (locale == nullptr) return false;
  ::freelocale(locale);
  return true;
}

/// A folder of a tablespace contains one folder for each catalogue version that uses it ("PG_15_202209061").
std::string folder_state(const std::string& location, int server_version) {
  std::error_code error;
  if (!fs::is_directory(location, error)) return "missing";
  const std::string prefix = "PG_" + std::to_string(server_version / 10000) + "_";
  for (const fs::directory_entry& entry : fs::directory_iterator(location, error)) {
    if (entry.path().filename().string().starts_with(prefix)) return "in use";
  }
  return "usable";
}

}  // namespace

std::string program_path(const std::string& folder, const std::string& program) {
  return folder.empty() ? program : folder + "/" + program;
}

void add_host_facts(ServerFacts& facts, const FactsRequest& request, const std::string& program,
                    const std::string& pg_bin) {
  add_free_bytes(facts);
  add_client_version(facts, program_path(pg_bin, program));
  for (const std::string& name : request.locales) {
    if (!has_locale(name)) facts.missing_locales.insert(name);
  }
  for (const std::string& location : request.tablespace_locations) {
    facts.tablespace_folders[location] = folder_state(location, facts.server_version);
  }
}

}  // namespace pgtandem::bootstrap
