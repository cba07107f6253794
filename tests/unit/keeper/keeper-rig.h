/// Keepers with everything around them but real: floor, disk, link to the other node. One io_context, one
/// thread, real time; conditions are awaited, never times.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <nlohmann/json.hpp>

#include "common/roles/peer-auth.h"
#include "server-relay/keeper/keeper.h"
#include "server-relay/keeper/role-clock.h"
#include "tests/unit/roles/fake-slot-files.h"

namespace pgtandem::testing {

inline const Secret kPairKey{"a pair key of enough bytes"};

class FakeFloor final : public Floor {
 public:
  explicit FakeFloor(asio::io_context& context) : context_(context) {}

  void set_authority(const Authority& authority, std::function<void()> in_force) override {
    authorities.push_back(authority);
    asio::post(context_, std::move(in_force));
  }
  void end_sessions(SessionEnd how, Milliseconds, const std::string&,
                    std::function<void(bool)> done) override {
    ended.push_back(how);
    asio::post(context_, [done = std::move(done), matched = matched] { done(matched); });
  }
  void refuse_legs_below(Epoch epoch, std::function<void()> done) override {
    legs_below = epoch;
    asio::post(context_, std::move(done));
  }
  void end_local_backends(Milliseconds, std::function<void(bool, std::string)> done) override {
    asio::post(context_, [done = std::move(done)] { done(true, ""); });
  }

  void set_right(Milliseconds until) override { rights.push_back(until); }

  const Authority& authority() const { return authorities.back(); }

  std::vector<Authority> authorities;
  std::vector<Milliseconds> rights;
  std::vector<SessionEnd> ended;
  Epoch legs_below = 0;
  bool matched = true;

 private:
  asio::io_context& context_;
};

/// Hands requests to the other keeper's handle_peer, challenge and MACs included.
class FakeLink final : public PeerLink {
 public:
  FakeLink(asio::io_context& context, Secret key) : context_(context), key_(std::move(key)) {}

  asio::awaitable<Result<std::string>> call(std::string verb, std::string body,
                                            Milliseconds timeout) override;

  Keeper* peer = nullptr;  ///< null: nobody answers
  bool silent = false;     ///< a link that swallows everything
  int calls = 0;

 private:
  asio::io_context& context_;
  Secret key_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);  ///< a keeper may go while its loop goes on
};

struct KeeperNode {
  KeeperNode(asio::io_context& context, Node self, const Uuid& cluster, bool has_peer = true);

  /// A keeper on the same disk and floor: the next life of the relay.
  void boot();

  asio::io_context& context;
  KeeperOptions options;
  FakeFloor floor;
  FakeDisk disk;
  FakeLink* link = nullptr;
  std::unique_ptr<Keeper> keeper;
  int changes = 0;

  RoleState state() const { return keeper->machine().state(); }
};

struct KeeperRig {
  KeeperRig();
  ~KeeperRig();

  /// Runs until the condition holds; false after ten seconds.
  bool until(const std::function<bool()>& condition);
  /// The reply to a command, with its JSON.
  ControlReply command(KeeperNode& node, const std::string& name, const nlohmann::json& body);
  ControlReply send(const std::function<void(const ControlRequest&, ControlResponder)>& handler,
                    const ControlRequest& request);
  /// Both started and joined by init.
  void join();

  asio::io_context context;
  Uuid cluster = random_uuid();
  KeeperNode a;
  KeeperNode b;
};

nlohmann::json json_of(const ControlReply& reply);

/// Runs a coroutine; what it gave is there when the optional is set. (asio wants results that can be made
/// empty.)
template <typename T>
std::shared_ptr<std::optional<T>> run_coroutine(asio::io_context& context, asio::awaitable<T> coroutine) {
  auto result = std::make_shared<std::optional<T>>();
  asio::co_spawn(
      context,
      [](asio::awaitable<T> inner, std::shared_ptr<std::optional<T>> out) -> asio::awaitable<void> {
        out->emplace(co_await std::move(inner));
      }(std::move(coroutine), result),
      [](std::exception_ptr thrown) {
        if (thrown) std::rethrow_exception(thrown);
      });
  return result;
}

}  // namespace pgtandem::testing
