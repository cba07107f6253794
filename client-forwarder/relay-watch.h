/// Follows one relay's control port for ever: its stream of events, or its status again and again where the
/// stream does not come through.
#pragma once
#include <functional>
#include <string>

#include <asio/awaitable.hpp>

#include "client-forwarder/relay-report.h"
#include "common/net/endpoint.h"

namespace pgtandem {

struct RelayWatchHandlers {
  std::function<void(const RelayReport&)> on_report;
  /// The control port does not answer, or answers what no relay says: one sentence.
  std::function<void(const std::string& why)> on_silence;
};

/// Ends only with the io_context, or when cancelled. The handlers are called on its thread.
asio::awaitable<void> watch_relay(Endpoint control_port, RelayWatchHandlers handlers);

}  // namespace pgtandem
