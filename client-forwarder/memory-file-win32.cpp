#include <fstream>
#include <iterator>
#include <windows.h>

#include "client-forwarder/memory-file.h"

namespace pgtandem {
namespace {

Error failed(const std::string& what, const std::string& path) {
  return Error{"cannot " + what + " '" + path + "': error " + std::to_string(GetLastError())};
}

/// Closes the handle on every way out.
class Handle {
 public:
  explicit Handle(HANDLE handle) : handle_(handle) {}
  ~Handle() {
    if (ok()) CloseHandle(handle_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  bool ok() const { return handle_ != INVALID_HANDLE_VALUE; }
  HANDLE get() const { return handle_; }

 private:
  HANDLE handle_;
};

}  // namespace

Result<std::optional<FollowerMemory>> MemoryFile::load() const {
  if (path_.empty() || GetFileAttributesA(path_.c_str()) == INVALID_FILE_ATTRIBUTES) {
    return std::optional<FollowerMemory>();
  }
  std::ifstream file(path_, std::ios::binary);
  if (!file) return failed("open", path_);
  const std::string content{std::istreambuf_iterator<char>(file), {}};
  auto memory = read_memory(content);
  if (!memory.ok()) return Error{"'" + path_ + "' is damaged: " + memory.error()};
  return std::optional<FollowerMemory>(std::move(*memory));
}

Result<void> MemoryFile::save(const FollowerMemory& memory) const {
  if (path_.empty()) return {};
  const std::string fresh = path_ + ".new";
  const std::string text = write_memory(memory);
  {
    const Handle file(
        CreateFileA(fresh.c_str(), GENERIC_WRITE, 0, nullptr, CREATE_ALWAYS, FILE_ATTRIBUTE_NORMAL, nullptr));
    DWORD written = 0;
    if (!file.ok() || !WriteFile(file.get(), text.data(), DWORD(text.size()), &written, nullptr) ||
        written != text.size() || !FlushFileBuffers(file.get())) {
      return failed("write", fresh);
    }
  }
  if (!MoveFileExA(fresh.c_str(), path_.c_str(), MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH)) {
    return failed("replace", path_);
  }
  return {};
}

Result<void> MemoryFile::check_folder() const {
  if (path_.empty()) return {};
  const std::size_t slash = path_.find_last_of("/\\");
  const std::string folder = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
  const DWORD attributes = GetFileAttributesA(folder.c_str());
  if (attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY)) return {};
  return failed("find the folder of", path_);
}

}  // namespace pgtandem
