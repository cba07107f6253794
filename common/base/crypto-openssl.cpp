/// What crypto.h and secret.h promise, by OpenSSL.
#include <array>
#include <stdexcept>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "common/base/crypto.h"
#include "common/base/secret.h"

namespace pgtandem {
namespace {

unsigned char* raw(std::byte* p) {
  return reinterpret_cast<unsigned char*>(p);
}
const unsigned char* raw(const std::byte* p) {
  return reinterpret_cast<const unsigned char*>(p);
}

}  // namespace

void clear_memory(void* data, std::size_t size) noexcept {
  if (size != 0) OPENSSL_cleanse(data, size);
}

Sha256Digest sha256(ByteSpan data) {
  Sha256Digest out;
  unsigned size = 0;
  if (EVP_Digest(data.data(), data.size(), raw(out.data()), &size, EVP_sha256(), nullptr) != 1) {
    throw std::runtime_error("SHA-256 is not available in this OpenSSL");
  }
  return out;
}

Sha256Digest hmac_sha256(ByteSpan key, ByteSpan data) {
  Sha256Digest out;
  unsigned size = 0;
  if (HMAC(EVP_sha256(), key.data(), int(key.size()), raw(data.data()), data.size(), raw(out.data()),
           &size) == nullptr) {
    throw std::runtime_error("HMAC-SHA-256 is not available in this OpenSSL");
  }
  return out;
}

Sha256Digest pbkdf2_sha256(std::string_view password, ByteSpan salt, unsigned iterations) {
  Sha256Digest out;
  if (PKCS5_PBKDF2_HMAC(password.data(), int(password.size()), raw(salt.data()), int(salt.size()),
                        int(iterations), EVP_sha256(), int(out.size()), raw(out.data())) != 1) {
    throw std::runtime_error("PBKDF2 is not available in this OpenSSL");
  }
  return out;
}

std::string md5_hex(std::string_view text) {
  std::array<std::byte, 16> out;
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), raw(out.data()), &size, EVP_md5(), nullptr) != 1) {
    throw std::runtime_error(
        "MD5 is not available in this OpenSSL (FIPS mode?); use scram-sha-256 instead of md5");
  }
  return to_hex(out);
}

std::string random_bytes(std::size_t size) {
  std::string out(size, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), int(size)) != 1) {
    throw std::runtime_error("the system gave no random bytes");
  }
  return out;
}

bool equal_constant_time(ByteSpan a, ByteSpan b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace pgtandem
