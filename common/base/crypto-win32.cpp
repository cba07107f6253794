/// What crypto.h and secret.h promise, by Windows' own CNG (bcrypt.dll): no library to ship, and the system's
/// updates reach it.
#include <array>
#include <stdexcept>
#include <windows.h>
// Behind windows.h: it uses its types.
#include <bcrypt.h>

#include "common/base/crypto.h"
#include "common/base/secret.h"

namespace pgtandem {
namespace {

/// CNG takes what it only reads through pointers to non-const too.
PUCHAR raw(const std::byte* p) {
  return reinterpret_cast<PUCHAR>(const_cast<std::byte*>(p));
}

void require(NTSTATUS status, const char* what) {
  if (!BCRYPT_SUCCESS(status))
    throw std::runtime_error(std::string(what) + " is not available in this Windows");
}

/// One algorithm of the system; opened once, kept for the life of the process, used by every thread.
class Algorithm {
 public:
  Algorithm(const wchar_t* name, ULONG flags, const char* words) : words_(words) {
    require(BCryptOpenAlgorithmProvider(&handle_, name, nullptr, flags), words);
  }
  Algorithm(const Algorithm&) = delete;
  Algorithm& operator=(const Algorithm&) = delete;

  /// `key` is empty for a plain digest. Requires that `out` has the algorithm's size.
  void digest(ByteSpan key, ByteSpan data, std::span<std::byte> out) const {
    BCRYPT_HASH_HANDLE hash = nullptr;
    require(BCryptCreateHash(handle_, &hash, nullptr, 0, key.empty() ? nullptr : raw(key.data()),
                             ULONG(key.size()), 0),
            words_);
    NTSTATUS status = BCryptHashData(hash, raw(data.data()), ULONG(data.size()), 0);
    if (BCRYPT_SUCCESS(status)) status = BCryptFinishHash(hash, raw(out.data()), ULONG(out.size()), 0);
    BCryptDestroyHash(hash);
    require(status, words_);
  }
  BCRYPT_ALG_HANDLE handle() const { return handle_; }

 private:
  const char* words_;
  BCRYPT_ALG_HANDLE handle_ = nullptr;
};

const Algorithm& hmac_algorithm() {
  static const Algorithm algorithm(BCRYPT_SHA256_ALGORITHM, BCRYPT_ALG_HANDLE_HMAC_FLAG, "HMAC-SHA-256");
  return algorithm;
}

}  // namespace

void clear_memory(void* data, std::size_t size) noexcept {
  if (size != 0) SecureZeroMemory(data, size);
}

Sha256Digest sha256(ByteSpan data) {
  static const Algorithm algorithm(BCRYPT_SHA256_ALGORITHM, 0, "SHA-256");
  Sha256Digest out;
  algorithm.digest({}, data, out);
  return out;
}

Sha256Digest hmac_sha256(ByteSpan key, ByteSpan data) {
  Sha256Digest out;
  hmac_algorithm().digest(key, data, out);
  return out;
}

Sha256Digest pbkdf2_sha256(std::string_view password, ByteSpan salt, unsigned iterations) {
  Sha256Digest out;
  require(BCryptDeriveKeyPBKDF2(hmac_algorithm().handle(), raw(as_bytes(password).data()),
                                ULONG(password.size()), raw(salt.data()), ULONG(salt.size()), iterations,
                                raw(out.data()), ULONG(out.size()), 0),
          "PBKDF2");
  return out;
}

std::string md5_hex(std::string_view text) {
  static const Algorithm algorithm(BCRYPT_MD5_ALGORITHM, 0,
                                   "MD5 (for PostgreSQL's md5; use scram-sha-256 instead)");
  std::array<std::byte, 16> out;
  algorithm.digest({}, as_bytes(text), out);
  return to_hex(out);
}

std::string random_bytes(std::size_t size) {
  std::string out(size, '\0');
  const NTSTATUS status = BCryptGenRandom(nullptr, reinterpret_cast<PUCHAR>(out.data()), ULONG(size),
                                          BCRYPT_USE_SYSTEM_PREFERRED_RNG);
  if (!BCRYPT_SUCCESS(status)) throw std::runtime_error("the system gave no random bytes");
  return out;
}

bool equal_constant_time(ByteSpan a, ByteSpan b) {
  if (a.size() != b.size()) return false;
  volatile unsigned char difference = 0;  // volatile: the loop may not end early
  for (std::size_t i = 0; i < a.size(); ++i) difference = difference | (unsigned(a[i]) ^ unsigned(b[i]));
  return difference == 0;
}

}  // namespace pgtandem
