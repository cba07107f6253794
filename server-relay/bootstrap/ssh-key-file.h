/// What can be seen of a private key file before it is used, for good messages.
#pragma once
#include <string>

#include "common/base/result.h"

namespace pgtandem::bootstrap {

struct SshKeyFile {
  bool encrypted = false;
  bool rsa = false;
};

/// PEM (PKCS#1, SEC1, PKCS#8) and OpenSSH's own format (openssh/PROTOCOL.key). Keeps nothing of the key.
Result<SshKeyFile> inspect_key_file(const std::string& path);

}  // namespace pgtandem::bootstrap
