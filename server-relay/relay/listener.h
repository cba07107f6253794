/// Accepts connections and spreads them over the I/O threads in turn. Runs on the control thread.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <asio/generic/stream_protocol.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/local/stream_protocol.hpp>

#include "common/net/endpoint.h"
#include "common/net/stream.h"
#include "server-relay/relay/io-thread.h"

namespace pgtandem {

class Listener {
 public:
  /// Called on the chosen I/O thread.
  using Accepted = std::function<void(IoThread&, Stream)>;

  Listener(asio::io_context& context, std::vector<std::unique_ptr<IoThread>>& threads, Accepted accepted);
  ~Listener();

  /// Every address that the endpoint's host resolves to; every address of the host where it is empty.
  Result<void> listen(const Endpoint& endpoint);
  /// The Unix socket `folder/.s.PGSQL.port`, open to every local user as PostgreSQL's is. A file that a dead
  /// process left is replaced; one on which somebody listens is an error.
  Result<void> listen_unix(const std::string& folder, std::uint16_t port);
  void close();

 private:
  template <typename Acceptor>
  void accept_next(const std::shared_ptr<Acceptor>& acceptor);
  Result<void> listen_tcp(const asio::ip::tcp::endpoint& address);

  asio::io_context& context_;
  std::vector<std::unique_ptr<IoThread>>& threads_;
  Accepted accepted_;
  std::size_t next_thread_ = 0;
  std::vector<std::shared_ptr<asio::ip::tcp::acceptor>> tcp_;
  std::vector<std::shared_ptr<asio::local::stream_protocol::acceptor>> unix_;
  std::vector<std::string> socket_files_;
};

}  // namespace pgtandem
