#include "server-relay/legs/leg-server.h"

#include <vector>

#include <asio/co_spawn.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include "common/base/crypto.h"
#include "common/base/log.h"
#include "common/net/pump.h"

namespace pgtandem {
namespace {

using namespace std::chrono_literals;

constexpr auto kHelloLimit = 5s;    ///< for the whole greeting
constexpr auto kConnectLimit = 5s;  ///< to the own postmaster

}  // namespace

LegServer::LegServer(const RelaySettings& settings, const Secret& pair_key, TakeFrontend take_frontend)
    : settings_(settings), pair_key_(pair_key), take_frontend_(std::move(take_frontend)) {}

void LegServer::accept(IoThread& thread, Stream stream) {
  auto shared = std::make_shared<Stream>(std::move(stream));
  asio::co_spawn(thread.context(), serve(thread, shared), [shared](std::exception_ptr thrown) {
    if (thrown) log::error("leg-failed", {{"error", "an internal error"}});
    shared->close();
  });
}

asio::awaitable<void> LegServer::serve(IoThread& thread, std::shared_ptr<Stream> stream) {
  const std::string from = stream->peer_name();
  asio::steady_timer limit(thread.context(), kHelloLimit);
  limit.async_wait([stream](std::error_code failure) {
    if (!failure) stream->close();
  });
  Result<Caller> caller = co_await identify(*stream);
  if (!caller) {
    log::warning("leg-refused", {{"client", from}, {"reason", caller.error()}});
    co_return;
  }
  const LegVerdict verdict = judge(thread, caller->hello);
  if (verdict != LegVerdict::welcome) {
    co_await give_verdict(*stream, *caller, verdict, thread.authority().epoch);
    log::warning("leg-refused",
                 {{"client", from}, {"reason", to_string(verdict)}, {"epoch", caller->hello.epoch}});
    co_return;
  }
  if (caller->hello.kind == LegKind::frontend) {
    if (!co_await give_verdict(*stream, *caller, verdict, thread.authority().epoch)) co_return;
    limit.cancel();
    take_frontend_(thread, std::move(*stream), caller->hello.client);
    co_return;
  }
  limit.cancel();
  co_await pass_on(thread, stream, std::move(*caller));
}

asio::awaitable<Result<LegServer::Caller>> LegServer::identify(Stream& stream) {
  Caller caller;
  caller.encoded.resize(LegHello::kPrefixSize);
  const auto place = [&caller](std::size_t from) {
    return std::as_writable_bytes(std::span(caller.encoded.data(), caller.encoded.size())).subspan(from);
  };
  if (co_await read_exactly(stream, place(0))) co_return Error{"no hello came"};
  const Result<std::size_t> rest = LegHello::rest_size(as_bytes(caller.encoded));
  if (!rest) co_return Error{rest.error()};
  caller.encoded.resize(LegHello::kPrefixSize + *rest);
  if (co_await read_exactly(stream, place(LegHello::kPrefixSize))) co_return Error{"the hello was cut short"};
  Result<LegHello> hello = LegHello::decode(as_bytes(caller.encoded));
  if (!hello) co_return Error{hello.error()};
  caller.hello = std::move(*hello);
  caller.answer = random_leg_nonce();
  if (co_await write_all(stream, caller.answer)) co_return Error{"the caller took no answer"};
  std::array<std::byte, LegAnswer::kMacSize> proof;
  if (co_await read_exactly(stream, proof)) co_return Error{"no proof came"};
  if (!equal_constant_time(proof, as_bytes(leg_proof(pair_key_, caller.encoded, caller.answer)))) {
    co_return Error{"the caller does not hold this pair's key (pair.key_file)"};
  }
  co_return caller;
}

LegVerdict LegServer::judge(const IoThread& thread, const LegHello& hello) const {
  if (hello.cluster != settings_.cluster) return LegVerdict::wrong_cluster;
  if (hello.node == settings_.node) return LegVerdict::wrong_node;
  if (hello.kind == LegKind::frontend) {
    const Service service = thread.authority().service;
    return service == Service::serve || service == Service::wait ? LegVerdict::welcome
                                                                 : LegVerdict::not_the_master;
  }
  return hello.epoch < lowest_epoch_.load() ? LegVerdict::old_epoch : LegVerdict::welcome;
}

asio::awaitable<bool> LegServer::give_verdict(Stream& stream, const Caller& caller, LegVerdict verdict,
                                              Epoch epoch) {
  const std::string encoded = encode_leg_answer(pair_key_, caller.encoded, caller.answer, {verdict, epoch});
  co_return !co_await write_all(stream, as_bytes(encoded));
}

asio::awaitable<void> LegServer::pass_on(IoThread& thread, std::shared_ptr<Stream> stream, Caller caller) {
  Result<Stream> postmaster =
      co_await connect_stream(thread.context(), settings_.own_postmaster(), kConnectLimit);
  // Judged again: a takeover may have begun in the meantime, and it waits for no leg that is not registered.
  std::uint64_t id = 0;
  LegVerdict verdict = postmaster ? LegVerdict::welcome : LegVerdict::no_postmaster;
  {
    const std::lock_guard lock(mutex_);
    if (caller.hello.epoch < lowest_epoch_.load()) verdict = LegVerdict::old_epoch;
    if (verdict == LegVerdict::welcome) {
      id = next_id_++;
      legs_[id] = {caller.hello.epoch, &thread, stream};
    }
  }
  const bool told = co_await give_verdict(*stream, caller, verdict, thread.authority().epoch);
  if (verdict == LegVerdict::welcome && told) {
    co_await pump_both_ways(thread.context(), stream, std::make_shared<Stream>(std::move(*postmaster)));
  } else if (!postmaster) {
    log::warning("leg-refused", {{"client", caller.hello.client}, {"reason", postmaster.error()}});
  }
  const std::lock_guard lock(mutex_);
  if (verdict == LegVerdict::welcome) legs_.erase(id);
}

void LegServer::refuse_below(Epoch epoch) {
  const std::lock_guard lock(mutex_);
  if (epoch > lowest_epoch_.load()) lowest_epoch_.store(epoch);
  for (const auto& [id, leg] : legs_) {
    if (leg.epoch >= lowest_epoch_.load()) continue;
    asio::post(leg.thread->context(), [stream = leg.stream] {
      if (const auto open = stream.lock()) open->close();
    });
  }
}

std::size_t LegServer::open_legs() const {
  const std::lock_guard lock(mutex_);
  return legs_.size();
}

}  // namespace pgtandem
