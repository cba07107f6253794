/// The leg port of a relay: checks who calls, then passes legs on to the own postmaster (hard point 8), or
/// takes a frontend over that the other relay passes on. Connections are spread over the I/O threads;
/// refuse_below() and the constructor belong to the control thread, accept() to the connection's thread.
#pragma once
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "common/base/secret.h"
#include "common/config/settings.h"
#include "common/net/stream.h"
#include "server-relay/legs/leg-hello.h"
#include "server-relay/relay/io-thread.h"

namespace pgtandem {

class LegServer {
 public:
  /// Starts a session for a frontend that the other relay passed on; on that thread.
  using TakeFrontend = std::function<void(IoThread&, Stream, std::string client)>;

  LegServer(const RelaySettings& settings, const Secret& pair_key, TakeFrontend take_frontend);

  void accept(IoThread& thread, Stream stream);
  /// From now on legs of older epochs are refused, and those that are open are closed.
  void refuse_below(Epoch epoch);
  std::size_t open_legs() const;

 private:
  struct OpenLeg {
    Epoch epoch;
    IoThread* thread;
    std::weak_ptr<Stream> stream;
  };
  struct Caller {
    LegHello hello;
    std::string encoded;
    LegNonce answer;
  };

  asio::awaitable<void> serve(IoThread& thread, std::shared_ptr<Stream> stream);
  asio::awaitable<Result<Caller>> identify(Stream& stream);
  LegVerdict judge(const IoThread& thread, const LegHello& hello) const;
  asio::awaitable<bool> give_verdict(Stream& stream, const Caller& caller, LegVerdict verdict, Epoch epoch);
  asio::awaitable<void> pass_on(IoThread& thread, std::shared_ptr<Stream> stream, Caller caller);

  const RelaySettings& settings_;
  const Secret& pair_key_;
  TakeFrontend take_frontend_;
  std::atomic<Epoch> lowest_epoch_{0};
  mutable std::mutex mutex_;
  std::map<std::uint64_t, OpenLeg> legs_;
  std::uint64_t next_id_ = 0;
};

}  // namespace pgtandem
