#include "common/protocol/password.h"

#include <string>

#include "common/base/crypto.h"

namespace pgtandem {
namespace {

constexpr std::string_view kPrefix = "md5";
constexpr std::size_t kHexDigits = 32;

/// "md5" and the digest of both texts; leaves no copy of them behind.
Secret prefixed_md5(std::string_view first, std::string_view second) {
  std::string text;
  text.reserve(first.size() + second.size());
  text.append(first).append(second);
  const Secret joined = Secret::take(text);
  std::string digest = md5_hex(joined.reveal());
  std::string out;
  out.reserve(kPrefix.size() + digest.size());
  out.append(kPrefix).append(digest);
  clear_memory(digest.data(), digest.size());
  return Secret::take(out);
}

}  // namespace

bool is_stored_md5(std::string_view stored) {
  return stored.size() == kPrefix.size() + kHexDigits && stored.starts_with(kPrefix) &&
         stored.find_first_not_of("0123456789abcdef", kPrefix.size()) == std::string_view::npos;
}

Result<Secret> md5_answer_from_stored(const Secret& stored, ByteSpan salt) {
  if (!is_stored_md5(stored.reveal())) return Error{"the stored password of the role is no md5 hash"};
  return prefixed_md5(stored.reveal().substr(kPrefix.size()), as_text(salt));
}

Secret md5_answer_from_password(const Secret& password, std::string_view user, ByteSpan salt) {
  const Secret stored = prefixed_md5(password.reveal(), user);
  return prefixed_md5(stored.reveal().substr(kPrefix.size()), as_text(salt));
}

}  // namespace pgtandem
