/// Key and token files.
#pragma once
#include <string>

#include "common/base/result.h"
#include "common/base/secret.h"

namespace pgtandem {

/// The content of a file without one trailing newline. Refused: a file that others than its owner can read or
/// write (except on Windows), anything but a regular file, more than 64 KiB, and less than `min_size` bytes.
Result<Secret> read_secret_file(const std::string& path, std::size_t min_size);

}  // namespace pgtandem
