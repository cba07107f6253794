#include "server-relay/bootstrap/known-hosts.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "common/base/bytes.h"
#include "common/base/crypto.h"

namespace pgtandem::bootstrap {
namespace {

struct KeyType {
  const char* algorithm;
  int known_type;    ///< LIBSSH2_KNOWNHOST_KEY_...
  int session_type;  ///< LIBSSH2_HOSTKEY_TYPE_...
  const char* keyscan;
};

// ssh-rsa with SHA-1 and ssh-dss are left out on purpose. Names that libssh2 does not know it drops by
// itself.
constexpr std::array<KeyType, 6> kTypes = {{
    {"ssh-ed25519", LIBSSH2_KNOWNHOST_KEY_ED25519, LIBSSH2_HOSTKEY_TYPE_ED25519, "ed25519"},
    {"ecdsa-sha2-nistp256", LIBSSH2_KNOWNHOST_KEY_ECDSA_256, LIBSSH2_HOSTKEY_TYPE_ECDSA_256, "ecdsa"},
    {"ecdsa-sha2-nistp384", LIBSSH2_KNOWNHOST_KEY_ECDSA_384, LIBSSH2_HOSTKEY_TYPE_ECDSA_384, "ecdsa"},
    {"ecdsa-sha2-nistp521", LIBSSH2_KNOWNHOST_KEY_ECDSA_521, LIBSSH2_HOSTKEY_TYPE_ECDSA_521, "ecdsa"},
    {"rsa-sha2-512", LIBSSH2_KNOWNHOST_KEY_SSHRSA, LIBSSH2_HOSTKEY_TYPE_RSA, "rsa"},
    {"rsa-sha2-256", LIBSSH2_KNOWNHOST_KEY_SSHRSA, LIBSSH2_HOSTKEY_TYPE_RSA, "rsa"},
}};

constexpr int kRaw = LIBSSH2_KNOWNHOST_TYPE_PLAIN | LIBSSH2_KNOWNHOST_KEYENC_RAW;

std::string home_file(const std::string& name) {
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr ? "" : home) + "/.ssh/" + name;
}

std::string key_in_base64(const char* key, std::size_t size) {
  return to_base64(as_bytes(std::string_view(key, size)));
}

std::string fingerprint(LIBSSH2_SESSION* session) {
  const char* hash = libssh2_hostkey_hash(session, LIBSSH2_HOSTKEY_HASH_SHA256);
  if (hash == nullptr) return "(unknown)";
  std::string text = key_in_base64(hash, 32);
  while (text.ends_with('=')) text.pop_back();
  return "SHA256:" + text;
}

}  // namespace

KnownHosts::KnownHosts(LIBSSH2_SESSION* session, std::string file)
    : session_(session), hosts_(libssh2_knownhost_init(session)), file_(std::move(file)) {
  const std::string usual = home_file("known_hosts");
  if (file_.empty()) file_ = usual;
  load(file_);
  if (file_ == usual) load("/etc/ssh/ssh_known_hosts");
}

KnownHosts::~KnownHosts() {
  if (hosts_ != nullptr) libssh2_knownhost_free(hosts_);
}

void KnownHosts::load(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  while (hosts_ != nullptr && std::getline(in, line)) {
    if (line.starts_with("@revoked")) {
      std::istringstream words(line);
      std::string marker, host, type, key;
      words >> marker >> host >> type >> key;
      revoked_.push_back(key);
    } else if (!line.starts_with('@') && !line.starts_with('#') && !line.empty()) {
      libssh2_knownhost_readline(hosts_, line.data(), line.size(), LIBSSH2_KNOWNHOST_FILE_OPENSSH);
    }
  }
}

std::string KnownHosts::preferred_algorithms(const std::string& host, int port) const {
  std::string known;
  std::string others;
  for (const KeyType& type : kTypes) {
    // No key matches this text: "mismatch" then means that some key of this type is known for the host.
    const int found =
        libssh2_knownhost_checkp(hosts_, host.c_str(), port, "?", 1, kRaw | type.known_type, nullptr);
    std::string& list = found == LIBSSH2_KNOWNHOST_CHECK_MISMATCH ? known : others;
    list += std::string(list.empty() ? "" : ",") + type.algorithm;
  }
  return known.empty() || others.empty() ? known + others : known + "," + others;
}

Result<void> KnownHosts::check(const std::string& host, int port) const {
  std::size_t size = 0;
  int session_type = 0;
  const char* key = libssh2_session_hostkey(session_, &size, &session_type);
  const auto* type = std::ranges::find(kTypes, session_type, &KeyType::session_type);
  if (key == nullptr || type == kTypes.end())
    return Error{"ssh host " + host + " showed a host key of a kind that is not accepted"};
  const std::string shown =
      "its " + std::string(type->keyscan) + " host key has the fingerprint " + fingerprint(session_);
  if (std::ranges::find(revoked_, key_in_base64(key, size)) != revoked_.end()) {
    return Error{"ssh host " + host + " showed a host key that known_hosts marks as revoked; " + shown};
  }
  const int found =
      libssh2_knownhost_checkp(hosts_, host.c_str(), port, key, size, kRaw | type->known_type, nullptr);
  if (found == LIBSSH2_KNOWNHOST_CHECK_MATCH) return {};
  const std::string name = port == 22 ? host : "[" + host + "]:" + std::to_string(port);
  if (found == LIBSSH2_KNOWNHOST_CHECK_MISMATCH) {
    return Error{"ssh host " + host + " showed ANOTHER host key than the one in " + file_ + ": " + shown +
                 "; somebody may be in between. If the host was installed anew, remove the old key with: "
                 "ssh-keygen -f " +
                 file_ + " -R '" + name + "'"};
  }
  return Error{"ssh host " + host + " is not in " + file_ + "; " + shown +
               ". Compare it with the one on that host (ssh-keygen -lf /etc/ssh/ssh_host_" + type->keyscan +
               "_key.pub), then add it with: ssh-keyscan -p " + std::to_string(port) + " -t " +
               type->keyscan + " " + host + " >> " + file_};
}

}  // namespace pgtandem::bootstrap
