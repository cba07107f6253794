#include "common/roles/peer-auth.h"

#include <algorithm>

#include "common/base/crypto.h"

namespace pgtandem {
namespace {

constexpr std::size_t kNonceBytes = 24;

std::string mac(const Secret& key, const std::string& text) {
  return to_hex(hmac_sha256(as_bytes(key.reveal()), as_bytes(text)));
}

std::string joined(std::string_view kind, std::string_view nonce, std::string_view third,
                   std::string_view body) {
  std::string text;
  text.reserve(kind.size() + nonce.size() + third.size() + body.size() + 3);
  return text.append(kind).append("\n").append(nonce).append("\n").append(third).append("\n").append(body);
}

}  // namespace

void NonceTable::forget_expired(std::chrono::milliseconds now) {
  while (!nonces_.empty() && now - nonces_.front().issued >= kNonceLife) nonces_.pop_front();
}

std::string NonceTable::issue(std::chrono::milliseconds now) {
  forget_expired(now);
  if (nonces_.size() >= kMaxNonces) nonces_.pop_front();
  nonces_.push_back({to_hex(as_bytes(random_bytes(kNonceBytes))), now});
  return nonces_.back().text;
}

bool NonceTable::redeem(std::string_view nonce, std::chrono::milliseconds now) {
  forget_expired(now);
  const auto found = std::ranges::find_if(nonces_, [&](const Nonce& one) { return one.text == nonce; });
  if (found == nonces_.end()) return false;
  nonces_.erase(found);
  return true;
}

std::string peer_request_mac(const Secret& key, std::string_view nonce, std::string_view path,
                             std::string_view body) {
  return mac(key, joined("request", nonce, path, body));
}

std::string peer_response_mac(const Secret& key, std::string_view nonce, unsigned status,
                              std::string_view body) {
  return mac(key, joined("response", nonce, std::to_string(status), body));
}

bool mac_fits(const Secret& key, std::string_view expected, std::string_view given) {
  return !key.empty() && !given.empty() && equal_constant_time(as_bytes(expected), as_bytes(given));
}

}  // namespace pgtandem
