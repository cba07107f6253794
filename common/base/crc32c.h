/// CRC-32C (Castagnoli), the checksum of every durable format here.
#pragma once
#include <cstdint>

#include "common/base/bytes.h"

namespace pgtandem {

std::uint32_t crc32c(ByteSpan data);

}  // namespace pgtandem
