#include <array>
#include <windows.h>

#include "win32/windows-text.h"

namespace pgtandem::win32 {
namespace {

/// Longer than any path that the system gives out.
constexpr DWORD kLongestPath = 32768;

}  // namespace

std::wstring wide(std::string_view text) {
  if (text.empty()) return {};
  const int size = MultiByteToWideChar(CP_UTF8, 0, text.data(), int(text.size()), nullptr, 0);
  std::wstring out(std::size_t(size), L'\0');
  MultiByteToWideChar(CP_UTF8, 0, text.data(), int(text.size()), out.data(), size);
  return out;
}

std::string narrow(std::wstring_view text) {
  if (text.empty()) return {};
  const int size =
      WideCharToMultiByte(CP_UTF8, 0, text.data(), int(text.size()), nullptr, 0, nullptr, nullptr);
  std::string out(std::size_t(size), '\0');
  WideCharToMultiByte(CP_UTF8, 0, text.data(), int(text.size()), out.data(), size, nullptr, nullptr);
  return out;
}

std::string error_text(unsigned long number) {
  std::array<wchar_t, 512> text{};
  const DWORD size = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, nullptr,
                                    number, 0, text.data(), DWORD(text.size()), nullptr);
  std::string words = narrow(std::wstring_view(text.data(), size));
  while (!words.empty() && (words.back() == '\n' || words.back() == '\r' || words.back() == ' '))
    words.pop_back();
  if (words.ends_with('.')) words.pop_back();
  const std::string code = "error " + std::to_string(number);
  return words.empty() ? code : words + " (" + code + ")";
}

Error error_of(const std::string& what, unsigned long number) {
  return Error{"cannot " + what + ": " + error_text(number)};
}

Error last_error(const std::string& what) {
  return error_of(what, GetLastError());
}

std::string program_path() {
  std::wstring path(kLongestPath, L'\0');
  path.resize(GetModuleFileNameW(nullptr, path.data(), DWORD(path.size())));
  return narrow(path);
}

std::string program_data_path() {
  std::wstring path(kLongestPath, L'\0');
  path.resize(GetEnvironmentVariableW(L"ProgramData", path.data(), DWORD(path.size())));
  return path.empty() ? "C:\\ProgramData" : narrow(path);
}

}  // namespace pgtandem::win32
