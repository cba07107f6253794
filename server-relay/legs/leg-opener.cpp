#include "server-relay/legs/leg-opener.h"

#include <memory>

#include <asio/steady_timer.hpp>

namespace pgtandem {
namespace {

/// Closes a stream when its time is over, unless it is gone by then.
class Guard {
 public:
  Guard(asio::io_context& context, Stream& stream, std::chrono::milliseconds limit) : timer_(context) {
    timer_.expires_after(limit);
    timer_.async_wait([&stream, alive = std::weak_ptr<bool>(alive_)](std::error_code failure) {
      if (!failure && !alive.expired()) stream.close();
    });
  }

 private:
  asio::steady_timer timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

asio::awaitable<Result<LegAnswer>> greet_leg_port(Stream& stream, const LegIdentity& self, Epoch epoch,
                                                  LegKind kind, std::string client) {
  LegHello hello{self.cluster, self.node, epoch, kind, random_leg_nonce(), std::move(client)};
  const std::string encoded = hello.encode();
  if (const auto failure = co_await write_all(stream, as_bytes(encoded))) {
    co_return Error{"the leg port took no hello: " + failure.message()};
  }
  LegNonce answer;
  if (const auto failure = co_await read_exactly(stream, answer)) {
    co_return Error{"the leg port gave no answer: " + failure.message()};
  }
  const std::string proof = leg_proof(self.key, encoded, answer);
  if (const auto failure = co_await write_all(stream, as_bytes(proof))) {
    co_return Error{"the leg port took no proof: " + failure.message()};
  }
  std::array<std::byte, LegAnswer::kVerdictSize + LegAnswer::kMacSize> received;
  if (const auto failure = co_await read_exactly(stream, received)) {
    co_return Error{"the leg port refused the proof; do both relays have the same pair.key_file?"};
  }
  const std::optional<LegAnswer> verdict = decode_leg_answer(self.key, encoded, answer, received);
  if (!verdict) co_return Error{"the answer of the leg port is not signed with this pair's key"};
  co_return *verdict;
}

LegOpener::LegOpener(const RelaySettings& settings, const Secret& pair_key)
    : settings_(settings), pair_key_(pair_key) {}

std::string LegOpener::where() const {
  if (!settings_.pair_mode()) return settings_.standby ? to_string(*settings_.standby) : "no standby";
  return to_string(Endpoint{settings_.peer().host, settings_.peer().leg_port});
}

asio::awaitable<Result<Stream>> LegOpener::open(asio::io_context& context, LegKind kind, Epoch epoch,
                                                std::string client, std::chrono::milliseconds limit) const {
  if (!settings_.pair_mode()) {
    if (!settings_.standby) co_return Error{"no standby is configured"};
    co_return co_await connect_stream(context, *settings_.standby, limit);
  }
  const Endpoint port{settings_.peer().host, settings_.peer().leg_port};
  Result<Stream> stream = co_await connect_stream(context, port, limit);
  if (!stream) co_return stream;
  const Guard guard(context, *stream, limit);
  const LegIdentity self{settings_.cluster, settings_.node, pair_key_};
  const Result<LegAnswer> answer = co_await greet_leg_port(*stream, self, epoch, kind, std::move(client));
  const std::string peer = "relay " + std::string(to_string(other(settings_.node))) + " at " + where();
  if (!answer) co_return Error{peer + ": " + answer.error()};
  if (answer->verdict != LegVerdict::welcome) {
    co_return Error{peer + " refused the leg: " + std::string(to_string(answer->verdict))};
  }
  co_return std::move(*stream);
}

}  // namespace pgtandem
