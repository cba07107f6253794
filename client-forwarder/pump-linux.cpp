/// splice(2): from socket to pipe to socket, no byte of it in this process. A direction has a pipe only while
/// bytes are on their way, so that 1,000 idle sessions need none.
#include <cerrno>
#include <fcntl.h>
#include <tuple>
#include <unistd.h>
#include <utility>
#include <vector>

#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>

#include "client-forwarder/pump.h"

namespace pgtandem {
namespace {

using asio::ip::tcp;

/// What a pipe holds by default (16 pages); more would not go in.
constexpr std::size_t kPipeBytes = 64U << 10;
/// Empty pipes kept for the next user: as many as move bytes at the same moment in ordinary operation.
constexpr std::size_t kSparePipes = 16;

class Pipe {
 public:
  Pipe() = default;
  Pipe(Pipe&& other) noexcept
      : read_(std::exchange(other.read_, -1)), write_(std::exchange(other.write_, -1)) {}
  Pipe& operator=(Pipe&& other) noexcept {
    std::swap(read_, other.read_);
    std::swap(write_, other.write_);
    return *this;
  }
  ~Pipe() {
    if (read_ >= 0) ::close(read_);
    if (write_ >= 0) ::close(write_);
  }
  /// Not ok() where no more files may be opened.
  static Pipe open() {
    Pipe pipe;
    int ends[2];
    if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0)
      std::tie(pipe.read_, pipe.write_) = std::pair(ends[0], ends[1]);
    return pipe;
  }
  bool ok() const { return read_ >= 0; }
  int read_end() const { return read_; }
  int write_end() const { return write_; }

 private:
  int read_ = -1;
  int write_ = -1;
};

/// The spare pipes of the thread. All are empty.
std::vector<Pipe>& spare_pipes() {
  static thread_local std::vector<Pipe> pipes;
  return pipes;
}

Pipe take_pipe() {
  auto& spare = spare_pipes();
  if (spare.empty()) return Pipe::open();
  Pipe pipe = std::move(spare.back());
  spare.pop_back();
  return pipe;
}

void give_back(Pipe pipe) {
  if (spare_pipes().size() < kSparePipes) spare_pipes().push_back(std::move(pipe));
}

ssize_t splice_retried(int from, int to, std::size_t size) {
  ssize_t n;
  do {
    n = ::splice(from, nullptr, to, nullptr, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  } while (n < 0 && errno == EINTR);
  return n;
}

asio::error_code last_error() {
  return {errno, asio::system_category()};
}

/// Empties the pipe into the target. The pipe is lost (and with it what it holds) if the target is.
asio::awaitable<asio::error_code> drain(const Pipe& pipe, std::size_t held, tcp::socket& target,
                                        std::uint64_t& bytes) {
  while (held > 0) {
    // Read anew each time: another coroutine may have closed the socket, and its number may be another's by
    // now.
    const int fd = target.is_open() ? target.native_handle() : -1;
    const ssize_t n = splice_retried(pipe.read_end(), fd, held);
    if (n > 0) {
      held -= std::size_t(n);
      bytes += std::uint64_t(n);
      continue;
    }
    if (n == 0) co_return asio::error::broken_pipe;
    if (errno != EAGAIN) co_return last_error();
    asio::error_code code;
    co_await target.async_wait(tcp::socket::wait_write, asio::redirect_error(asio::use_awaitable, code));
    if (code) co_return code;
  }
  co_return asio::error_code();
}

}  // namespace

asio::awaitable<Step> move_some(tcp::socket& source, tcp::socket& target, std::uint64_t& bytes) {
  if (!source.is_open()) co_return Step{StepEnd::source_gone, asio::error::operation_aborted};
  Pipe pipe = take_pipe();
  if (!pipe.ok()) co_return co_await move_some_by_buffer(source, target, bytes);
  const ssize_t n = splice_retried(source.native_handle(), pipe.write_end(), kPipeBytes);
  const int reason = n < 0 ? errno : 0;
  if (n <= 0) {
    give_back(std::move(pipe));
    if (n == 0) co_return Step{StepEnd::source_ended, {}};
    if (reason == EAGAIN) co_return Step{};
    // Refused for this kind of socket, or no memory for pipes: a buffer serves as well.
    if (reason == EINVAL || reason == ENOMEM) co_return co_await move_some_by_buffer(source, target, bytes);
    co_return Step{StepEnd::source_gone, asio::error_code(reason, asio::system_category())};
  }
  const asio::error_code failure = co_await drain(pipe, std::size_t(n), target, bytes);
  if (failure) co_return Step{StepEnd::target_gone, failure};
  give_back(std::move(pipe));
  co_return Step{};
}

}  // namespace pgtandem
