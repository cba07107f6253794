#include <utility>
#include <windows.h>

#include "common/roles/slot-store-folder.h"

namespace pgtandem {
namespace {

/// Closes on every way out.
class Handle {
 public:
  explicit Handle(HANDLE handle) : handle_(handle) {}
  Handle(Handle&& other) noexcept : handle_(std::exchange(other.handle_, INVALID_HANDLE_VALUE)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Handle() {
    if (open()) CloseHandle(handle_);
  }
  HANDLE get() const { return handle_; }
  bool open() const { return handle_ != INVALID_HANDLE_VALUE; }

 private:
  HANDLE handle_;
};

std::wstring wide(const std::string& text) {
  const int size = MultiByteToWideChar(CP_UTF8, 0, text.data(), int(text.size()), nullptr, 0);
  std::wstring out(std::size_t(size), L'\0');
  MultiByteToWideChar(CP_UTF8, 0, text.data(), int(text.size()), out.data(), size);
  return out;
}

Error failure(const std::string& doing, const std::string& path) {
  const DWORD code = GetLastError();
  return Error{"could not " + doing + " " + path + ": " +
               std::error_code(int(code), std::system_category()).message() + " (" + std::to_string(code) +
               ")"};
}

class WindowsSlotFiles final : public SlotFiles {
 public:
  WindowsSlotFiles(std::string folder, Handle lock) : folder_(std::move(folder)), lock_(std::move(lock)) {}

  Result<std::optional<std::string>> read(int index) override {
    const Handle file(CreateFileW(wide(path(index)).c_str(), GENERIC_READ, FILE_SHARE_READ, nullptr,
                                  OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr));
    if (!file.open()) {
      if (GetLastError() == ERROR_FILE_NOT_FOUND) return std::optional<std::string>();
      return failure("open", path(index));
    }
    std::string bytes(kSlotBytes + 1,
                      '\0');  // one more than a sound slot, so that a longer file is seen as such
    std::size_t size = 0;
    while (size < bytes.size()) {
      DWORD got = 0;
      if (!ReadFile(file.get(), bytes.data() + size, DWORD(bytes.size() - size), &got, nullptr))
        return failure("read", path(index));
      if (got == 0) break;
      size += got;
    }
    bytes.resize(size);
    return std::optional<std::string>(std::move(bytes));
  }

  /// Written through the disk's cache too: of a file system's own records (its name, its length) nothing else
  /// can be told to become durable.
  Result<void> write(int index, std::string_view bytes) override {
    const Handle file(CreateFileW(wide(path(index)).c_str(), GENERIC_WRITE, FILE_SHARE_READ, nullptr,
                                  OPEN_ALWAYS, FILE_ATTRIBUTE_NORMAL | FILE_FLAG_WRITE_THROUGH, nullptr));
    if (!file.open()) return failure("open for writing", path(index));
    for (std::size_t done = 0; done < bytes.size();) {
      DWORD put = 0;
      if (!WriteFile(file.get(), bytes.data() + done, DWORD(bytes.size() - done), &put, nullptr))
        return failure("write", path(index));
      done += put;
    }
    if (!SetEndOfFile(file.get())) return failure("set the length of", path(index));
    if (!FlushFileBuffers(file.get())) return failure("flush", path(index));
    return {};
  }

  /// The flush of a file takes its entry in the folder with it: NTFS has one log for both, and a folder
  /// cannot be flushed without the rights of an administrator.
  Result<void> sync(int) override { return {}; }

 private:
  std::string path(int index) const { return folder_ + "/role-" + std::to_string(index); }

  std::string folder_;
  Handle lock_;
};

/// Nobody else can open the file as long as it is open here; a process that ends, however it does, lets it
/// go.
Result<Handle> take_lock(const std::string& state_dir) {
  Handle lock(CreateFileW(wide(state_dir + "/lock").c_str(), GENERIC_READ | GENERIC_WRITE, 0, nullptr,
                          OPEN_ALWAYS, FILE_ATTRIBUTE_NORMAL, nullptr));
  if (lock.open()) return lock;
  if (GetLastError() == ERROR_SHARING_VIOLATION) {
    return Error{"another relay uses the state folder " + state_dir +
                 ": stop it, or give this one a folder of its own (--state-dir)"};
  }
  return failure("open", state_dir + "/lock");
}

}  // namespace

Result<std::unique_ptr<SlotStore>> open_slot_store(const std::string& state_dir) {
  if (!CreateDirectoryW(wide(state_dir).c_str(), nullptr) && GetLastError() != ERROR_ALREADY_EXISTS)
    return failure("make the state folder", state_dir);
  Result<Handle> lock = take_lock(state_dir);
  if (!lock) return Error{lock.error()};
  auto files = std::make_unique<WindowsSlotFiles>(state_dir, std::move(*lock));
  return std::unique_ptr<SlotStore>(std::make_unique<TwoSlotStore>(std::move(files)));
}

}  // namespace pgtandem
