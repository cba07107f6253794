/// Windows' own texts and error numbers in the UTF-8 that everything else here uses.
#pragma once
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace pgtandem::win32 {

std::wstring wide(std::string_view text);
std::string narrow(std::wstring_view text);

/// The text of an error number of Windows, with the number.
std::string error_text(unsigned long number);
/// "cannot <what>: <text of GetLastError()>".
Error last_error(const std::string& what);
Error error_of(const std::string& what, unsigned long number);

/// Full path of this program.
std::string program_path();
/// %ProgramData%.
std::string program_data_path();

}  // namespace pgtandem::win32
