/// The opening of a connection to the other relay's leg port (hard point 8). Both sides prove that they hold
/// the pair's key; the key never travels. Pure.
///
///   hello   = magic:"PGTLEG1\n" size:u16 cluster:byte16 node:u8 epoch:u64 kind:u8 nonce:byte16
///             client:text{size-42}                 (client: for kind `frontend`, the address of the
///             frontend)
///   answer  = nonce:byte16
///   proof   = HMAC-SHA256(key, "pgtandem leg proof" hello answer)                       32 bytes
///   verdict = status:u8 epoch:u64 HMAC-SHA256(key, "pgtandem leg verdict" hello answer status epoch)
///
/// `epoch` in the verdict is the one that the answering relay is in, for the caller's log.
/// After a good verdict both directions carry the bytes of the postmaster (kinds leg, cancel) or of the
/// relay's own frontend port (kind frontend).
#pragma once
#include <array>
#include <optional>
#include <string>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/base/secret.h"

namespace pgtandem {

enum class LegKind : std::uint8_t {
  leg = 1,       ///< a session's leg, passed on to the own postmaster
  cancel = 2,    ///< a cancel request for such a leg
  frontend = 3,  ///< a frontend of the standby's host, passed on to the active relay
};

enum class LegVerdict : std::uint8_t {
  welcome = 0,
  wrong_cluster = 1,
  old_epoch = 2,
  not_the_master = 3,  ///< kind frontend: this relay is not active
  no_postmaster = 4,   ///< the own postmaster cannot be reached
  wrong_node = 5,
};
std::string_view to_string(LegVerdict verdict);

inline constexpr std::size_t kLegNonceSize = 16;
using LegNonce = std::array<std::byte, kLegNonceSize>;

struct LegHello {
  static constexpr std::string_view kMagic = "PGTLEG1\n";
  static constexpr std::size_t kPrefixSize = 10;  ///< magic and size
  static constexpr std::size_t kFixedSize = 42;   ///< of what `size` counts, without the client
  static constexpr std::size_t kMaxClientSize = 100;

  Uuid cluster;
  Node node = Node::none;  ///< who calls
  Epoch epoch = 0;
  LegKind kind = LegKind::leg;
  LegNonce nonce{};
  std::string client;

  std::string encode() const;
  /// The number of bytes behind the prefix, or an error if these 10 bytes begin no hello.
  static Result<std::size_t> rest_size(ByteSpan prefix);
  /// From prefix and rest together.
  static Result<LegHello> decode(ByteSpan whole);
};

struct LegAnswer {
  static constexpr std::size_t kVerdictSize = 9;
  static constexpr std::size_t kMacSize = 32;

  LegVerdict verdict = LegVerdict::welcome;
  Epoch epoch = 0;
};

LegNonce random_leg_nonce();
std::string leg_proof(const Secret& key, std::string_view hello, const LegNonce& answer);
std::string encode_leg_answer(const Secret& key, std::string_view hello, const LegNonce& answer,
                              const LegAnswer& verdict);
/// Nothing if the MAC is wrong: whoever answers does not hold the key.
std::optional<LegAnswer> decode_leg_answer(const Secret& key, std::string_view hello, const LegNonce& answer,
                                           ByteSpan received);

}  // namespace pgtandem
