/// The sender's end of the conversation with a loader: bytes out, lines in, in one poll loop of the caller's.
/// Ends with the loader's own reason wherever there is one, since "connection lost" alone helps nobody.
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <poll.h>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "server-relay/bootstrap/loader-lines.h"
#include "server-relay/bootstrap/loader-link.h"

namespace pgtandem::bootstrap {

/// What else may end a conversation: a stop signal, a lost lease.
struct Interruptions {
  std::vector<int> fds;                 ///< become readable when there is one
  std::function<Result<void>()> check;  ///< the error says which
};

/// Owned and used by one thread.
class LoaderStream {
 public:
  /// `where` names the loader's host in errors.
  LoaderStream(std::unique_ptr<LoaderLink> link, std::string where, Interruptions interruptions);

  /// Queues bytes; they go out in turn().
  void send(std::string_view bytes);
  /// Enough is queued: call turn() before sending more.
  bool full() const { return queued() >= kQueueLimit; }
  /// One round: waits (at most kTurn) for the link, the interruptions and `also`; writes and reads what is
  /// possible. Errors: the loader failed or ended, was silent for kSilence, or an interruption.
  Result<void> turn(std::vector<pollfd> also = {});
  /// Tries for a moment to send an abort frame's bytes, so that the loader need not guess. Never fails.
  void farewell(std::string_view bytes);

  std::size_t queued() const { return queue_.size() - sent_; }
  /// Lines with event "piece", in order.
  const std::vector<LoaderLine>& pieces() const { return pieces_; }
  const std::optional<LoaderLine>& done() const { return done_; }
  /// The last "alive": what the loader is at.
  const LoaderLine& alive() const { return alive_; }

 private:
  using Clock = std::chrono::steady_clock;
  /// Half a megabyte a turn keeps a fast line busy; more would only be memory.
  static constexpr std::size_t kQueueLimit = 1U << 20;
  static constexpr std::chrono::milliseconds kTurn{250};
  /// A loader says every second that it lives, whatever its server is at.
  static constexpr std::chrono::seconds kSilence{60};

  Result<void> write();
  Result<void> read();
  Result<void> take_lines();
  Result<void> take_line(const std::string& text);
  Error ended(const std::string& otherwise);

  std::unique_ptr<LoaderLink> link_;
  std::string where_;
  Interruptions interruptions_;
  std::string queue_;
  std::size_t sent_ = 0;
  std::string input_;
  std::vector<LoaderLine> pieces_;
  std::optional<LoaderLine> done_;
  std::optional<LoaderLine> failed_;
  LoaderLine alive_;
  Clock::time_point heard_ = Clock::now();
};

/// Starts `pgtandem load <arguments>`, gives it `input`, and waits for its end: for short questions. The
/// result is its output; another exit status than 0 is an error with its last words.
Result<std::string> ask_loader(LoaderHost& host, const std::vector<std::string>& arguments,
                               std::string_view input, std::chrono::milliseconds limit);

}  // namespace pgtandem::bootstrap
