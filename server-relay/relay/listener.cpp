#include "server-relay/relay/listener.h"

#include <filesystem>
#include <set>

#include <asio/ip/v6_only.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include "common/base/log.h"
#include "common/net/listen-options.h"

namespace pgtandem {
namespace {

using namespace std::chrono_literals;

constexpr auto kRetryAfterFailure =
    100ms;  ///< out of descriptors: trying at once would only burn the processor
constexpr int kBacklog = 1024;

}  // namespace

Listener::Listener(asio::io_context& context, std::vector<std::unique_ptr<IoThread>>& threads,
                   Accepted accepted)
    : context_(context), threads_(threads), accepted_(std::move(accepted)) {}

Listener::~Listener() {
  close();
}

Result<void> Listener::listen(const Endpoint& endpoint) {
  if (endpoint.is_unix()) return listen_unix(endpoint.host, endpoint.port);
  if (endpoint.host.empty()) {
    // One socket that takes both families where the system has IPv6, else IPv4 alone.
    const Result<void> both = listen_tcp({asio::ip::tcp::v6(), endpoint.port});
    return both ? both : listen_tcp({asio::ip::tcp::v4(), endpoint.port});
  }
  std::error_code failure;
  asio::ip::tcp::resolver resolver(context_);
  const auto found = resolver.resolve(endpoint.host, std::to_string(endpoint.port), failure);
  if (failure) return Error{"cannot listen on " + to_string(endpoint) + ": " + failure.message()};
  std::set<asio::ip::tcp::endpoint> addresses;
  for (const auto& entry : found) addresses.insert(entry.endpoint());
  for (const auto& address : addresses) {
    if (Result<void> done = listen_tcp(address); !done) return done;
  }
  return {};
}

Result<void> Listener::listen_tcp(const asio::ip::tcp::endpoint& address) {
  auto acceptor = std::make_shared<asio::ip::tcp::acceptor>(context_);
  std::error_code failure;
  acceptor->open(address.protocol(), failure);
  if (!failure) acceptor->set_option(asio::socket_base::reuse_address(kReuseAddress), failure);
  if (!failure && address.protocol() == asio::ip::tcp::v6()) {
    acceptor->set_option(asio::ip::v6_only(!address.address().is_unspecified()), failure);
  }
  if (!failure) acceptor->bind(address, failure);
  if (!failure) acceptor->listen(kBacklog, failure);
  if (failure) {
    return Error{"cannot listen on " + to_string(Endpoint{address.address().to_string(), address.port()}) +
                 ": " + failure.message() +
                 (failure == asio::error::address_in_use
                      ? "; is PostgreSQL still on this port? Move it (port = 5433 in postgresql.conf)"
                      : "")};
  }
  tcp_.push_back(acceptor);
  accept_next(acceptor);
  return {};
}

Result<void> Listener::listen_unix(const std::string& folder, std::uint16_t port) {
  const std::string path = Endpoint{folder, port}.unix_path();
  using asio::local::stream_protocol;
  std::error_code failure;
  stream_protocol::socket probe(context_);
  probe.connect(stream_protocol::endpoint(path), failure);
  if (!failure) {
    return Error{"cannot listen on " + path + ": somebody else does; is PostgreSQL still on this port?"};
  }
  std::error_code ignored;
  if (failure == asio::error::connection_refused) std::filesystem::remove(path, ignored);
  auto acceptor = std::make_shared<stream_protocol::acceptor>(context_);
  failure.clear();
  acceptor->open(stream_protocol(), failure);
  if (!failure) acceptor->bind(stream_protocol::endpoint(path), failure);
  if (!failure) acceptor->listen(kBacklog, failure);
  if (!failure) std::filesystem::permissions(path, std::filesystem::perms::all, failure);
  if (failure) return Error{"cannot listen on " + path + ": " + failure.message()};
  unix_.push_back(acceptor);
  socket_files_.push_back(path);
  accept_next(acceptor);
  return {};
}

template <typename Acceptor>
void Listener::accept_next(const std::shared_ptr<Acceptor>& acceptor) {
  IoThread& thread = *threads_[next_thread_++ % threads_.size()];
  auto socket = std::make_shared<typename Acceptor::protocol_type::socket>(thread.context());
  acceptor->async_accept(*socket, [this, acceptor, socket, &thread](std::error_code failure) {
    if (failure == asio::error::operation_aborted || !acceptor->is_open()) return;
    if (!failure) {
      asio::post(thread.context(),
                 [this, &thread, stream = Stream(Stream::Socket(std::move(*socket)))]() mutable {
                   accepted_(thread, std::move(stream));
                 });
      accept_next(acceptor);
      return;
    }
    log::warning("accept-failed", {{"error", failure.message()}});
    auto timer = std::make_shared<asio::steady_timer>(context_, kRetryAfterFailure);
    timer->async_wait([this, acceptor, timer](std::error_code cancelled) {
      if (!cancelled && acceptor->is_open()) accept_next(acceptor);
    });
  });
}

void Listener::close() {
  std::error_code ignored;
  for (const auto& acceptor : tcp_) acceptor->close(ignored);
  for (const auto& acceptor : unix_) acceptor->close(ignored);
  for (const std::string& file : socket_files_) std::filesystem::remove(file, ignored);
  socket_files_.clear();
}

}  // namespace pgtandem
