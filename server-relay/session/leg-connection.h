/// A session's connection to one postmaster, with what belongs to its bytes. The two of a session change
/// places when the standby's server succeeds the master's. On the session's thread.
#pragma once
#include <string>

#include "common/net/stream.h"
#include "common/net/wakeup.h"
#include "common/protocol/backend-key.h"
#include "common/protocol/message-splitter.h"
#include "server-relay/session/out-buffer.h"

namespace pgtandem {

struct LegConnection {
  /// `progress` is notified when what could not be written at once has been.
  LegConnection(asio::io_context& context, Wakeup& progress) : stream(context), out(stream, progress) {}

  Stream stream;
  OutBuffer out;
  std::string kept;  ///< replies that the splitter left: an incomplete message
  MessageSplitter splitter;
  BackendKey key;
};

}  // namespace pgtandem
