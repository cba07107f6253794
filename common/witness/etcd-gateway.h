/// Requests and answers of etcd's v3 JSON gateway (etcd 3.4 and later, POST of JSON documents): keys and
/// values in base64, 64-bit numbers as strings, and what is false, zero or empty is left out. Builders and
/// parsers without a network; leases and locks are not used. Pure.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/base/secret.h"
#include "common/roles/witness-record.h"

namespace pgtandem {

inline constexpr std::string_view kEtcdTxnPath = "/v3/kv/txn";
inline constexpr std::string_view kEtcdRangePath = "/v3/kv/range";
inline constexpr std::string_view kEtcdAuthPath = "/v3/auth/authenticate";
/// A longer answer is not looked at: ours have under 1 KiB.
inline constexpr std::size_t kMaxEtcdAnswer = 64U << 10;

struct EtcdValue {
  std::string value;
  std::uint64_t mod_revision = 0;
};

struct EtcdAnswer {
  std::uint64_t cluster_id = 0;
  std::uint64_t revision = 0;      ///< of the store
  bool succeeded = false;          ///< of a transaction
  std::optional<EtcdValue> value;  ///< of a read, or of the read of a transaction that did not succeed
};

/// A linearizable read of one key.
std::string etcd_range_request(std::string_view key);
/// Puts the value if the key's mod_revision is `expected` (0: if there is no such key), else reads the key.
std::string etcd_swap_request(std::string_view key, std::string_view value, std::uint64_t expected);
/// Deletes the key if its mod_revision is `expected`, else reads it.
std::string etcd_erase_request(std::string_view key, std::uint64_t expected);
/// Holds the password: it must not be logged.
std::string etcd_auth_request(std::string_view user, const Secret& password);

Result<EtcdAnswer> parse_etcd_range(std::string_view body, std::string_view key);
Result<EtcdAnswer> parse_etcd_swap(std::string_view body, std::string_view key);
Result<EtcdAnswer> parse_etcd_erase(std::string_view body, std::string_view key);
/// The token for the header `Authorization`.
Result<Secret> parse_etcd_auth(std::string_view body);

/// A body that came with another status than 200.
struct EtcdFailure {
  std::string text;            ///< one sentence
  bool token_refused = false;  ///< authenticate anew, then repeat
};
EtcdFailure parse_etcd_failure(unsigned status, std::string_view body);

/// The answer as the role machine takes it. An error where the record is none of this pair's: it gives no
/// authority, and is to be treated as silence.
Result<WitnessReply> to_witness_reply(const EtcdAnswer& answer, const Secret& pair_key, const Uuid& cluster);

}  // namespace pgtandem
