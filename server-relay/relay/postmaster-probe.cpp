#include "server-relay/relay/postmaster-probe.h"

#include <asio/co_spawn.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include "common/protocol/error-response.h"
#include "common/protocol/message-splitter.h"
#include "common/protocol/messages.h"
#include "common/protocol/startup.h"

namespace pgtandem {
namespace {

using namespace std::chrono_literals;

constexpr auto kProbeLimit = 200ms;  ///< hard point 13: everyone's statements wait for this answer

}  // namespace

asio::awaitable<bool> postmaster_answers(asio::io_context& context, Stream& stream, std::string user,
                                         std::chrono::milliseconds limit) {
  asio::steady_timer timer(context, limit);
  const auto alive = std::make_shared<bool>(true);
  timer.async_wait([&stream, over = std::weak_ptr<bool>(alive)](std::error_code failure) {
    if (!failure && !over.expired()) stream.close();
  });
  const std::string startup =
      build_startup(3, 0, {{"user", user}, {"database", "postgres"}, {"application_name", "pgtandem probe"}});
  if (co_await write_all(stream, as_bytes(startup))) co_return false;
  std::array<std::byte, MessageSplitter::kHeaderSize> header;
  if (co_await read_exactly(stream, header)) co_return false;
  if (char(header[0]) != 'E') co_return char(header[0]) == 'R';
  const std::size_t length = load_u32(header.data() + 1);
  if (length < 4 || length > kMaxLoginMessage) co_return false;
  std::string body(length - 4, '\0');
  if (co_await read_exactly(stream, std::as_writable_bytes(std::span(body.data(), body.size()))))
    co_return false;
  const Result<ServerError> error = parse_error_response(as_bytes(body));
  co_return error && !error->sqlstate.starts_with("57P");
}

PostmasterProbe::PostmasterProbe(asio::io_context& home, Open open, std::string user,
                                 std::function<void(bool)> told)
    : home_(home), open_(std::move(open)), user_(std::move(user)), told_(std::move(told)) {}

asio::awaitable<bool> PostmasterProbe::ask(asio::io_context& context) {
  const auto waiter = std::make_shared<Waiter>(context);
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = waiting_.empty();
    waiting_.push_back(waiter);
  }
  if (first) {
    asio::co_spawn(home_, probe(),
                   [this](std::exception_ptr thrown, bool answer) { finish(!thrown && answer); });
  }
  co_await waiter->done.wait();
  co_return waiter->answer;
}

asio::awaitable<bool> PostmasterProbe::probe() {
  Result<Stream> stream = co_await open_(home_, kProbeLimit);
  if (!stream) co_return false;
  co_return co_await postmaster_answers(home_, *stream, user_, kProbeLimit);
}

void PostmasterProbe::finish(bool answer) {
  std::vector<std::shared_ptr<Waiter>> waiting;
  {
    const std::lock_guard lock(mutex_);
    waiting.swap(waiting_);
  }
  if (told_) told_(answer);
  for (const auto& waiter : waiting) {
    asio::post(waiter->context, [waiter, answer] {
      waiter->answer = answer;
      waiter->done.notify();
    });
  }
}

}  // namespace pgtandem
