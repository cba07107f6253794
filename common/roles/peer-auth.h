/// How the two relays recognise each other on the control port: a shared key that never travels.
///   GET /v1/peer/challenge -> nonce, for one use
///   POST, with  X-Pgtandem-Mac = hex(HMAC(key, "request\n" nonce "\n" path "\n" body))
///   answer with X-Pgtandem-Mac = hex(HMAC(key, "response\n" nonce "\n" status "\n" body))
/// The nonce in the answer's MAC makes an old answer useless to somebody who replays it. Pure but for the
/// random bytes; one thread.
#pragma once
#include <chrono>
#include <deque>
#include <string>
#include <string_view>

#include "common/base/secret.h"

namespace pgtandem {

inline constexpr std::size_t kMaxNonces = 256;
inline constexpr std::chrono::milliseconds kNonceLife{10000};

/// The challenges that this node has given out and that have not come back.
class NonceTable {
 public:
  /// A new challenge. Where kMaxNonces are outstanding the oldest is forgotten: whoever asks for many then
  /// has to keep asking to be in the way, instead of once in ten seconds.
  std::string issue(std::chrono::milliseconds now);
  /// True once for each challenge, within kNonceLife of its issue.
  bool redeem(std::string_view nonce, std::chrono::milliseconds now);
  std::size_t outstanding() const { return nonces_.size(); }

 private:
  struct Nonce {
    std::string text;
    std::chrono::milliseconds issued;
  };
  void forget_expired(std::chrono::milliseconds now);

  std::deque<Nonce> nonces_;  ///< the oldest first
};

std::string peer_request_mac(const Secret& key, std::string_view nonce, std::string_view path,
                             std::string_view body);
std::string peer_response_mac(const Secret& key, std::string_view nonce, unsigned status,
                              std::string_view body);
/// In constant time; an empty key or MAC never fits.
bool mac_fits(const Secret& key, std::string_view expected, std::string_view given);

}  // namespace pgtandem
