#include "server-relay/bootstrap/loader-stream.h"

#include <cerrno>
#include <cstring>

#include "server-relay/bootstrap/stop-signal.h"

namespace pgtandem::bootstrap {
namespace {

using Clock = std::chrono::steady_clock;

/// A line of a loader has some hundred bytes; one with a long list of roles some thousand.
constexpr std::size_t kMaxLine = 1U << 20;
constexpr std::size_t kMaxAnswer = 256U << 20;
constexpr auto kLastWords = std::chrono::seconds(5);
constexpr auto kFarewell = std::chrono::milliseconds(500);
constexpr auto kExitLimit = std::chrono::seconds(5);
constexpr int kCommandNotFound = 127;
constexpr int kCommandNotExecutable = 126;

std::string explain_status(int status, const std::string& errors) {
  if (status == kCommandNotFound || status == kCommandNotExecutable) {
    return "pgtandem is not installed there or not in the ssh user's PATH; name it with --remote-pgtandem" +
           (errors.empty() ? "" : " (" + errors + ")");
  }
  if (!errors.empty()) return errors;
  return status > 128 ? "ended by signal " + std::to_string(status - 128)
                      : "exit status " + std::to_string(status);
}

void wait_for(const LoaderLink& link, bool have_output, std::chrono::milliseconds limit) {
  std::vector<pollfd> fds;
  link.add_poll(fds, have_output);
  fds.push_back({stop_fd(), POLLIN, 0});
  ::poll(fds.data(), fds.size(), int(limit.count()));
}

}  // namespace

LoaderStream::LoaderStream(std::unique_ptr<LoaderLink> link, std::string where, Interruptions interruptions)
    : link_(std::move(link)), where_(std::move(where)), interruptions_(std::move(interruptions)) {}

void LoaderStream::send(std::string_view bytes) {
  queue_.append(bytes);
}

Result<void> LoaderStream::turn(std::vector<pollfd> also) {
  const Result<void> may_go_on = interruptions_.check();
  if (!may_go_on) return may_go_on;
  if (Clock::now() - heard_ > kSilence) return ended("was silent for a minute");
  std::vector<pollfd> fds = std::move(also);
  for (const int fd : interruptions_.fds) fds.push_back({fd, POLLIN, 0});
  link_->add_poll(fds, queued() != 0);
  if (::poll(fds.data(), fds.size(), int(kTurn.count())) < 0 && errno != EINTR) {
    return Error{std::string("poll failed: ") + std::strerror(errno)};
  }
  const Result<void> written = write();
  if (!written) return written;
  if (link_->busy_writing()) return {};
  return read();
}

Result<void> LoaderStream::write() {
  while (queued() != 0) {
    const Result<std::size_t> sent = link_->write(as_bytes(queue_).subspan(sent_));
    if (!sent) return ended(sent.error());
    if (*sent == 0) return {};
    sent_ += *sent;
  }
  queue_.clear();
  sent_ = 0;
  return {};
}

Result<void> LoaderStream::read() {
  const Result<bool> more = link_->read(input_);
  const Result<void> lines = take_lines();
  if (!lines) return lines;
  if (!more) return ended(more.error());
  if (!*more && !done_) return ended("");
  return {};
}

Result<void> LoaderStream::take_lines() {
  std::size_t end = 0;
  while ((end = input_.find('\n')) != std::string::npos) {
    const std::string line = input_.substr(0, end);
    input_.erase(0, end + 1);
    const Result<void> taken = take_line(line);
    if (!taken) return taken;
  }
  if (input_.size() > kMaxLine) return take_line(input_.substr(0, kMaxLine));
  return {};
}

Result<void> LoaderStream::take_line(const std::string& text) {
  Result<LoaderLine> line = parse_loader_line(text);
  if (!line) return Error{where_ + ": " + line.error()};
  heard_ = Clock::now();
  if (line->event == "piece") {
    pieces_.push_back(std::move(*line));
  } else if (line->event == "done") {
    done_ = std::move(*line);
  } else if (line->event == "failed") {
    failed_ = std::move(*line);
    return ended("");
  } else {
    alive_ = std::move(*line);
  }
  return {};
}

/// The link may be gone before the loader's last line was read.
Error LoaderStream::ended(const std::string& otherwise) {
  const Clock::time_point deadline = Clock::now() + kLastWords;
  bool more = !failed_;
  while (more && !failed_ && Clock::now() < deadline && !stop_requested()) {
    const Result<bool> read = link_->read(input_);
    std::size_t end = 0;
    while (!failed_ && (end = input_.find('\n')) != std::string::npos) {
      Result<LoaderLine> line = parse_loader_line(input_.substr(0, end));
      input_.erase(0, end + 1);
      if (line && line->event == "failed") failed_ = std::move(*line);
    }
    more = read && *read;
    if (more && !failed_) wait_for(*link_, false, std::chrono::milliseconds(100));
  }
  if (failed_) return Error{where_ + ": " + failed_->error};
  if (!otherwise.empty() && more) return Error{"the loader on " + where_ + ": " + otherwise};
  const Result<int> status = link_->exit_status(kExitLimit);
  if (!status) return Error{otherwise.empty() ? status.error() : otherwise};
  return Error{"pgtandem load on " + where_ +
               " ended early: " + explain_status(*status, link_->error_text())};
}

void LoaderStream::farewell(std::string_view bytes) {
  send(bytes);
  const Clock::time_point deadline = Clock::now() + kFarewell;
  while (queued() != 0 && Clock::now() < deadline) {
    const Result<std::size_t> sent = link_->write(as_bytes(queue_).subspan(sent_));
    if (!sent) return;
    sent_ += *sent;
    if (*sent == 0) wait_for(*link_, true, std::chrono::milliseconds(20));
  }
}

Result<std::string> ask_loader(LoaderHost& host, const std::vector<std::string>& arguments,
                               std::string_view input, std::chrono::milliseconds limit) {
  const Clock::time_point deadline = Clock::now() + limit;
  const Result<std::unique_ptr<LoaderLink>> started = host.start(arguments);
  if (!started) return Error{started.error()};
  LoaderLink& link = **started;
  std::string output;
  bool open = true;
  while (open || !input.empty()) {
    if (stop_requested()) return Error{"interrupted"};
    if (Clock::now() > deadline) return Error{"pgtandem load on " + host.name() + " did not answer in time"};
    if (!input.empty()) {
      const Result<std::size_t> sent = link.write(as_bytes(input));
      // It may have ended with a message: read that.
      input.remove_prefix(sent ? *sent : input.size());
      if (input.empty()) {
        const Result<void> closed = link.close_input(kExitLimit);
        (void)closed;
      }
    }
    if (!link.busy_writing()) {
      const Result<bool> more = link.read(output);
      if (!more) return Error{more.error()};
      open = *more;
      if (!open) break;
    }
    if (output.size() > kMaxAnswer) return Error{"pgtandem load on " + host.name() + " answered without end"};
    wait_for(link, !input.empty(), std::chrono::milliseconds(250));
  }
  const Result<int> status = link.exit_status(kExitLimit);
  if (!status) return Error{status.error()};
  if (*status == 0) return output;
  return Error{host.name() + ": " + explain_status(*status, link.error_text())};
}

}  // namespace pgtandem::bootstrap
