#include "server-relay/bootstrap/ssh-key-file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "common/base/bytes.h"
#include "common/base/crypto.h"
#include "common/base/secret.h"

namespace pgtandem::bootstrap {
namespace {

constexpr std::size_t kMaxKeyFile = 64U << 10;
constexpr std::string_view kOpenSshBegin = "-----BEGIN OPENSSH PRIVATE KEY-----";
constexpr std::string_view kOpenSshEnd = "-----END";

/// openssh/PROTOCOL.key: "openssh-key-v1" NUL, string cipher, string kdf, string kdf options, u32 keys,
/// string public key
SshKeyFile inspect_openssh(std::string_view text) {
  SshKeyFile key;
  const std::size_t begin = text.find(kOpenSshBegin) + kOpenSshBegin.size();
  std::string body(text.substr(begin, text.find(kOpenSshEnd, begin) - begin));
  std::erase_if(body, [](char c) { return c == '\n' || c == '\r' || c == ' '; });
  Result<std::string> bytes = from_base64(body);
  clear_memory(body.data(), body.size());
  if (!bytes) return key;
  ByteReader reader(as_bytes(*bytes));
  reader.c_string();
  key.encrypted = as_text(reader.take(reader.u32())) != "none";
  reader.take(reader.u32());
  reader.take(reader.u32());
  reader.u32();
  ByteReader public_key(reader.take(reader.u32()));
  key.rsa = as_text(public_key.take(public_key.u32())) == "ssh-rsa";
  clear_memory(bytes->data(), bytes->size());
  return key;
}

}  // namespace

Result<SshKeyFile> inspect_key_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{"cannot read the ssh key " + path + ": " + std::strerror(errno)};
  std::string text(kMaxKeyFile, '\0');
  in.read(text.data(), std::streamsize(text.size()));
  const std::string_view content(text.data(), std::size_t(in.gcount()));
  SshKeyFile key;
  const bool is_key = content.find("PRIVATE KEY-----") != std::string_view::npos;
  if (content.find(kOpenSshBegin) != std::string_view::npos) {
    key = inspect_openssh(content);
  } else {
    key.encrypted = content.find("ENCRYPTED") != std::string_view::npos;
    key.rsa = content.find("BEGIN RSA PRIVATE KEY") != std::string_view::npos;
  }
  clear_memory(text.data(), text.size());
  if (!is_key) return Error{path + " is no ssh private key"};
  return key;
}

}  // namespace pgtandem::bootstrap
