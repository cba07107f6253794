#include "client-forwarder/pump.h"

namespace pgtandem {

asio::awaitable<Step> move_some(asio::ip::tcp::socket& source, asio::ip::tcp::socket& target,
                                std::uint64_t& bytes) {
  return move_some_by_buffer(source, target, bytes);
}

}  // namespace pgtandem
