#include <array>
#include <cstring>

#include "server-relay/bootstrap/sql-text.h"
#include "server-relay/bootstrap/ssh-session.h"

namespace pgtandem::bootstrap {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kOpenLimit = std::chrono::seconds(15);
/// Closing in order is a courtesy: it may not hold up the report of an error.
constexpr auto kCloseLimit = std::chrono::seconds(2);
/// How much the other side may send before we adjust the window: more than a loader says in hours, so that an
/// adjustment rarely meets a half-sent packet of ours.
constexpr unsigned kReceiveWindow = 16U << 20;
constexpr std::size_t kErrorsKept = 16U << 10;

class SshLink final : public LoaderLink {
 public:
  SshLink(std::shared_ptr<SshSession> ssh, LIBSSH2_CHANNEL* channel, std::string host)
      : ssh_(std::move(ssh)), channel_(channel), host_(std::move(host)) {}
  SshLink(const SshLink&) = delete;
  SshLink& operator=(const SshLink&) = delete;
  ~SshLink() override {
    const auto closed =
        ssh_->complete("close", Clock::now() + kCloseLimit, [&] { return libssh2_channel_free(channel_); });
    (void)closed;
  }

  Result<std::size_t> write(ByteSpan bytes) override {
    const ssize_t sent =
        libssh2_channel_write(channel_, reinterpret_cast<const char*>(bytes.data()), bytes.size());
    // libssh2 must be called again with the same bytes before anything else is sent, if a packet is half out.
    half_sent_ = sent == LIBSSH2_ERROR_EAGAIN && blocked_outbound();
    if (sent >= 0) return std::size_t(sent);
    if (sent == LIBSSH2_ERROR_EAGAIN) return std::size_t(0);
    return lost();
  }

  Result<bool> read(std::string& out) override {
    read_errors();
    std::array<char, 16384> buffer{};
    for (;;) {
      const ssize_t got = libssh2_channel_read(channel_, buffer.data(), buffer.size());
      if (got > 0) {
        out.append(buffer.data(), std::size_t(got));
        continue;
      }
      if (got == LIBSSH2_ERROR_EAGAIN) break;
      if (got < 0) return lost();
      return libssh2_channel_eof(channel_) == 0;
    }
    int next = 0;
    if (!half_sent_) libssh2_keepalive_send(ssh_->handle(), &next);
    return true;
  }

  Result<void> close_input(std::chrono::milliseconds limit) override {
    const Result<int> sent = ssh_->complete("ssh connection to " + host_, Clock::now() + limit,
                                            [&] { return libssh2_channel_send_eof(channel_); });
    if (!sent) return Error{sent.error()};
    return {};
  }

  void add_poll(std::vector<pollfd>& fds, bool have_output) const override {
    // Without room in the channel's window only the other side's adjustment, which is input, can help.
    const bool writable = half_sent_ || (have_output && libssh2_channel_window_write(channel_) > 0);
    fds.push_back({ssh_->socket(), short(POLLIN | (writable ? POLLOUT : 0)), 0});
  }

  bool busy_writing() const override { return half_sent_; }

  Result<int> exit_status(std::chrono::milliseconds limit) override {
    const auto deadline = Clock::now() + limit;
    Result<int> closed = ssh_->complete("ssh connection to " + host_, deadline, [&] {
      const int status = libssh2_channel_close(channel_);
      return status == 0 ? libssh2_channel_wait_closed(channel_) : status;
    });
    if (!closed) return closed;
    read_errors();
    char* signal = nullptr;
    libssh2_channel_get_exit_signal(channel_, &signal, nullptr, nullptr, nullptr, nullptr, nullptr);
    if (signal != nullptr) {
      const std::string name(signal);
      libssh2_free(ssh_->handle(), signal);
      return Error{"pgtandem load on " + host_ + " was ended by SIG" + safe_excerpt(name, 20)};
    }
    return libssh2_channel_get_exit_status(channel_);
  }

  std::string error_text() override { return safe_excerpt(errors_); }

 private:
  bool blocked_outbound() const {
    return (libssh2_session_block_directions(ssh_->handle()) & LIBSSH2_SESSION_BLOCK_OUTBOUND) != 0;
  }
  Error lost() const { return Error{"the ssh connection to " + host_ + " was lost: " + ssh_->last_error()}; }
  void read_errors() {
    std::array<char, 4096> buffer{};
    ssize_t got = 0;
    while ((got = libssh2_channel_read_stderr(channel_, buffer.data(), buffer.size())) > 0) {
      errors_.append(buffer.data(), std::size_t(got));
      if (errors_.size() > kErrorsKept) errors_.erase(0, errors_.size() - kErrorsKept);
    }
  }

  std::shared_ptr<SshSession> ssh_;
  LIBSSH2_CHANNEL* channel_;
  std::string host_;
  std::string errors_;
  bool half_sent_ = false;
};

/// For the login shell of the other side (a POSIX shell).
std::string shell_quoted(const std::string& word) {
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

class SshHost final : public LoaderHost {
 public:
  SshHost(std::shared_ptr<SshSession> ssh, SshOptions options)
      : ssh_(std::move(ssh)), options_(std::move(options)) {}

  Result<std::unique_ptr<LoaderLink>> start(const std::vector<std::string>& arguments) override {
    std::string command = shell_quoted(options_.pgtandem) + " load";
    for (const std::string& argument : arguments) command += " " + shell_quoted(argument);
    const auto deadline = Clock::now() + kOpenLimit;
    LIBSSH2_CHANNEL* channel = nullptr;
    const Result<int> opened = ssh_->complete("ssh channel to " + options_.host, deadline, [&] {
      channel = libssh2_channel_open_ex(ssh_->handle(), "session", 7, kReceiveWindow,
                                        LIBSSH2_CHANNEL_PACKET_DEFAULT, nullptr, 0);
      return channel != nullptr ? 0 : libssh2_session_last_errno(ssh_->handle());
    });
    if (!opened) return Error{opened.error()};
    auto link = std::make_unique<SshLink>(ssh_, channel, options_.host);
    const Result<int> started = ssh_->complete("ssh command on " + options_.host, deadline, [&] {
      return libssh2_channel_process_startup(channel, "exec", 4, command.data(), unsigned(command.size()));
    });
    if (!started) return Error{started.error()};
    return std::unique_ptr<LoaderLink>(std::move(link));
  }

  std::string name() const override { return options_.host; }

 private:
  std::shared_ptr<SshSession> ssh_;
  SshOptions options_;
};

}  // namespace

Result<std::unique_ptr<LoaderHost>> ssh_loader_host(const SshOptions& options) {
  Result<std::unique_ptr<SshSession>> ssh = SshSession::connect(options);
  if (!ssh) return Error{ssh.error()};
  return std::unique_ptr<LoaderHost>(std::make_unique<SshHost>(std::move(*ssh), options));
}

}  // namespace pgtandem::bootstrap
