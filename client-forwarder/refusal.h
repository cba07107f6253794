/// The last words to a client that waited in vain.
#pragma once
#include <chrono>
#include <memory>
#include <string>

#include <asio/awaitable.hpp>
#include <asio/ip/tcp.hpp>

namespace pgtandem {

/// If the client's first bytes are a PostgreSQL start-up packet: SSLRequest and GSSENCRequest are answered
/// 'N', and the start-up packet itself with FATAL 57P03 and the texts. Anything else gets nothing. The client
/// has until `limit` to speak, read and close; then its socket is closed. The caller's socket, shared with a
/// timer that may outlive this.
asio::awaitable<void> refuse_client(std::shared_ptr<asio::ip::tcp::socket> client, std::string message,
                                    std::string detail, std::chrono::milliseconds limit);

}  // namespace pgtandem
