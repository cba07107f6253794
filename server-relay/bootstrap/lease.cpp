#include "server-relay/bootstrap/lease.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "common/control/control-client.h"
#include "server-relay/bootstrap/run-now.h"
#include "server-relay/bootstrap/sql-text.h"

namespace pgtandem::bootstrap {
namespace {

using nlohmann::json;

/// The relay wants one every 2 s at least.
constexpr auto kReportEvery = std::chrono::seconds(1);
constexpr auto kReportLimit = std::chrono::seconds(3);
/// Before the relay's own 15 s: what is copied after that is copied for nothing.
constexpr auto kPatience = std::chrono::seconds(10);
/// begin ends every session of the master and the backends of the target; finish waits for both servers.
constexpr auto kBeginLimit = std::chrono::seconds(120);
constexpr auto kFinishLimit = std::chrono::seconds(120);
constexpr auto kAbortLimit = std::chrono::seconds(5);

Result<json> post(const Endpoint& control, const Secret& token, const std::string& command, const json& body,
                  std::chrono::milliseconds limit, bool* refused = nullptr) {
  const ControlClient client(control, token);
  const Result<CommandAnswer> answer = run_now(client.command(command, body.dump(), limit));
  if (!answer)
    return Error{"the control port of the active relay (" + to_string(control) +
                 ") failed: " + answer.error()};
  if (answer->ok) {
    json parsed = json::parse(answer->body, nullptr, false);
    if (parsed.is_object()) return parsed;
    return Error{"the relay at " + to_string(control) + " answered " + command +
                 " with something else than an object"};
  }
  if (refused != nullptr) *refused = true;
  return Error{"the relay at " + to_string(control) + " refused " + command + ": " + answer->error +
               (answer->what_to_do.empty() ? "" : "; " + answer->what_to_do)};
}

json printable_json(const std::string& text) {
  return printable(text);
}

}  // namespace

Lease::Lease(Endpoint control, Secret token)
    : control_(std::move(control)),
      token_(std::move(token)),
      lost_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Result<std::unique_ptr<Lease>> Lease::begin(const Endpoint& control, const Secret& token) {
  std::unique_ptr<Lease> lease(new Lease(control, token));
  const json body = {{"tool", PGTANDEM_VERSION}, {"abort_clients", true}};
  const Result<json> answer = post(control, token, "bootstrap/begin", body, kBeginLimit);
  if (!answer) return Error{answer.error()};
  lease->id_ = answer->value("lease", "");
  lease->epoch_ = answer->value("epoch", Epoch(0));
  const Result<Node> master = parse_node(answer->value("master", ""));
  if (master) lease->master_ = *master;
  const Result<Node> target = parse_node(answer->value("target", ""));
  if (target) lease->target_ = *target;
  if (lease->id_.empty())
    return Error{"the relay at " + to_string(control) + " began a bootstrap but gave no lease"};
  lease->thread_ = std::thread([raw = lease.get()] { raw->run(); });
  return lease;
}

Lease::~Lease() {
  stop();
  if (!id_.empty() && !ended_) {
    const Result<void> aborted = abort("the bootstrap ended without a word");
    (void)aborted;
  }
  if (lost_fd_ >= 0) ::close(lost_fd_);
}

void Lease::run() {
  try {
    keep_reporting();
  } catch (const std::exception& e) {
    lose(std::string("reporting progress failed: ") + e.what());
  }
}

void Lease::keep_reporting() {
  Clock::time_point taken = Clock::now();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const ProgressView view = progress_;
    lock.unlock();
    const json body = {{"lease", id_},
                       {"phase", view.phase},
                       {"bytes", view.bytes},
                       {"total_bytes", view.total_bytes},
                       {"text", printable_json(safe_excerpt(view.database, 100))}};
    bool refused = false;
    const Result<json> answer = post(control_, token_, "bootstrap/progress", body, kReportLimit, &refused);
    if (answer) taken = Clock::now();
    if (refused || Clock::now() - taken > kPatience) {
      lose(answer.error());
      return;
    }
    lock.lock();
    wake_.wait_for(lock, kReportEvery, [this] { return stopping_; });
  }
}

void Lease::lose(const std::string& why) {
  const std::lock_guard lock(mutex_);
  lost_ = why;
  const std::uint64_t one = 1;
  // The counter is 0 and takes it; should it not, check() still fails at the next turn.
  if (::write(lost_fd_, &one, sizeof one) < 0) lost_ += " ";
}

void Lease::report(const ProgressView& progress) {
  const std::lock_guard lock(mutex_);
  progress_ = progress;
}

Result<void> Lease::check() const {
  const std::lock_guard lock(mutex_);
  if (lost_.empty()) return {};
  return Error{lost_};
}

void Lease::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Result<Epoch> Lease::finish(const std::string& sha256) {
  // Reports go on meanwhile: a join may take longer than the relay's patience.
  const Result<json> answer =
      post(control_, token_, "bootstrap/finish", {{"lease", id_}, {"sha256", sha256}}, kFinishLimit);
  ended_ = answer.ok();
  stop();
  if (!answer) return Error{answer.error()};
  return answer->value("epoch", epoch_);
}

Result<void> Lease::abort(const std::string& reason) {
  stop();
  ended_ = true;
  const Result<json> answer =
      post(control_, token_, "bootstrap/abort",
           {{"lease", id_}, {"reason", printable_json(safe_excerpt(reason))}}, kAbortLimit);
  if (answer) return {};
  return Error{answer.error()};
}

}  // namespace pgtandem::bootstrap
