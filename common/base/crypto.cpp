#include "common/base/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <stdexcept>

#include "common/base/secret.h"

namespace pgtandem {
namespace {

unsigned char* raw(std::byte* p) { return reinterpret_cast<unsigned char*>(p); }
const unsigned char* raw(const std::byte* p) { return reinterpret_cast<const unsigned char*>(p); }

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
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
  if (HMAC(EVP_sha256(), key.data(), int(key.size()), raw(data.data()), data.size(), raw(out.data()), &size) ==
      nullptr) {
    throw std::runtime_error("HMAC-SHA-256 is not available in this OpenSSL");
  }
  return out;
}

Sha256Digest pbkdf2_sha256(std::string_view password, ByteSpan salt, unsigned iterations) {
  Sha256Digest out;
  if (PKCS5_PBKDF2_HMAC(password.data(), int(password.size()), raw(salt.data()), int(salt.size()), int(iterations),
                        EVP_sha256(), int(out.size()), raw(out.data())) != 1) {
    throw std::runtime_error("PBKDF2 is not available in this OpenSSL");
  }
  return out;
}

std::string md5_hex(std::string_view text) {
  std::array<std::byte, 16> out;
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), raw(out.data()), &size, EVP_md5(), nullptr) != 1) {
    throw std::runtime_error("MD5 is not available in this OpenSSL (FIPS mode?); use scram-sha-256 instead of md5");
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

std::string to_hex(ByteSpan bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const std::byte b : bytes) {
    out.push_back(kDigits[unsigned(b) >> 4]);
    out.push_back(kDigits[unsigned(b) & 15]);
  }
  return out;
}

Result<std::string> from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) return Error{"odd number of hexadecimal digits"};
  std::string out;
  out.reserve(hex.size() / 2);
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = hex_value(hex[i]);
    const int low = hex_value(hex[i + 1]);
    if (high < 0 || low < 0) return Error{"not hexadecimal"};
    out.push_back(char(high * 16 + low));
  }
  return out;
}

std::string to_base64(ByteSpan bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), raw(bytes.data()), int(bytes.size()));
  out.resize(std::size_t(size));
  return out;
}

Result<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return Error{"not base64: the length is no multiple of 4"};
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  if (text.substr(0, text.size() - padding).find_first_not_of(
          "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") != std::string_view::npos) {
    return Error{"not base64"};
  }
  std::string out(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()), int(text.size()));
  if (size < 0) return Error{"not base64"};
  out.resize(std::size_t(size) - padding);
  return out;
}

}  // namespace pgtandem
