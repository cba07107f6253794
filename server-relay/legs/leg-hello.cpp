#include "server-relay/legs/leg-hello.h"

#include <algorithm>

#include "common/base/crypto.h"

namespace pgtandem {
namespace {

std::string keyed_digest(const Secret& key, std::string_view label, std::string_view hello,
                         const LegNonce& answer, std::string_view rest) {
  std::string input(label);
  input.append(hello).append(as_text(answer)).append(rest);
  return std::string(as_text(hmac_sha256(as_bytes(key.reveal()), as_bytes(input))));
}

}  // namespace

std::string_view to_string(LegVerdict verdict) {
  switch (verdict) {
    case LegVerdict::welcome:
      return "welcome";
    case LegVerdict::wrong_cluster:
      return "it belongs to another pair (pair.uuid differs)";
    case LegVerdict::old_epoch:
      return "it knows a newer epoch";
    case LegVerdict::not_the_master:
      return "it is not the active relay";
    case LegVerdict::no_postmaster:
      return "it cannot reach its postmaster";
    case LegVerdict::wrong_node:
      return "both relays are configured as the same node";
  }
  return "it gave an unknown answer";
}

std::string LegHello::encode() const {
  const std::string_view name = std::string_view(client).substr(0, kMaxClientSize);
  ByteWriter out;
  out.text(kMagic)
      .u16(std::uint16_t(kFixedSize + name.size()))
      .text(as_text(cluster.bytes))
      .u8(std::uint8_t(node));
  out.u64(epoch).u8(std::uint8_t(kind)).text(as_text(nonce)).text(name);
  return out.take();
}

Result<std::size_t> LegHello::rest_size(ByteSpan prefix) {
  if (prefix.size() != kPrefixSize || as_text(prefix.first(kMagic.size())) != kMagic) {
    return Error{"this is no connection of a pgtandem relay of this version"};
  }
  const std::size_t size = (std::size_t(prefix[8]) << 8) | std::size_t(prefix[9]);
  if (size < kFixedSize || size > kFixedSize + kMaxClientSize)
    return Error{"the hello has an impossible length"};
  return size;
}

Result<LegHello> LegHello::decode(ByteSpan whole) {
  ByteReader reader(whole);
  reader.take(kPrefixSize);
  LegHello hello;
  const ByteSpan cluster = reader.take(hello.cluster.bytes.size());
  std::ranges::copy(cluster, hello.cluster.bytes.begin());
  const std::uint8_t node = reader.u8();
  hello.epoch = reader.u64();
  const std::uint8_t kind = reader.u8();
  const ByteSpan nonce = reader.take(kLegNonceSize);
  std::ranges::copy(nonce, hello.nonce.begin());
  if (reader.failed()) return Error{"the hello is too short"};
  if (node != std::uint8_t(Node::a) && node != std::uint8_t(Node::b)) return Error{"the hello names no node"};
  if (kind < std::uint8_t(LegKind::leg) || kind > std::uint8_t(LegKind::frontend)) {
    return Error{"the hello asks for an unknown kind of connection"};
  }
  hello.node = Node(node);
  hello.kind = LegKind(kind);
  hello.client = as_text(reader.rest());
  return hello;
}

LegNonce random_leg_nonce() {
  LegNonce nonce;
  const std::string random = random_bytes(nonce.size());
  std::ranges::copy(as_bytes(random), nonce.begin());
  return nonce;
}

std::string leg_proof(const Secret& key, std::string_view hello, const LegNonce& answer) {
  return keyed_digest(key, "pgtandem leg proof", hello, answer, {});
}

std::string encode_leg_answer(const Secret& key, std::string_view hello, const LegNonce& answer,
                              const LegAnswer& verdict) {
  const std::string plain = ByteWriter().u8(std::uint8_t(verdict.verdict)).u64(verdict.epoch).take();
  return plain + keyed_digest(key, "pgtandem leg verdict", hello, answer, plain);
}

std::optional<LegAnswer> decode_leg_answer(const Secret& key, std::string_view hello, const LegNonce& answer,
                                           ByteSpan received) {
  if (received.size() != LegAnswer::kVerdictSize + LegAnswer::kMacSize) return std::nullopt;
  const std::string_view plain = as_text(received.first(LegAnswer::kVerdictSize));
  const std::string expected = keyed_digest(key, "pgtandem leg verdict", hello, answer, plain);
  if (!equal_constant_time(as_bytes(expected), received.subspan(LegAnswer::kVerdictSize)))
    return std::nullopt;
  ByteReader reader(received);
  LegAnswer verdict;
  verdict.verdict = LegVerdict(reader.u8());
  verdict.epoch = reader.u64();
  return verdict;
}

}  // namespace pgtandem
