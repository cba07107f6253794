/// Digests, keyed digests, random bytes and their text forms, by OpenSSL or by Windows' own CNG. Thread-safe.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace pgtandem {

using Sha256Digest = std::array<std::byte, 32>;

Sha256Digest sha256(ByteSpan data);
Sha256Digest hmac_sha256(ByteSpan key, ByteSpan data);
/// PBKDF2-HMAC-SHA-256, as RFC 5802 calls Hi().
Sha256Digest pbkdf2_sha256(std::string_view password, ByteSpan salt, unsigned iterations);
/// Lower-case hexadecimal MD5 of the text (for PostgreSQL's md5 authentication only).
std::string md5_hex(std::string_view text);
/// Cryptographically strong random bytes; throws std::runtime_error if the system has none.
std::string random_bytes(std::size_t size);
/// Equality in time that does not depend on where the first difference is.
bool equal_constant_time(ByteSpan a, ByteSpan b);

std::string to_hex(ByteSpan bytes);
Result<std::string> from_hex(std::string_view hex);
std::string to_base64(ByteSpan bytes);
Result<std::string> from_base64(std::string_view text);

}  // namespace pgtandem
