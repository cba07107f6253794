/// The witness is an etcd cluster, reached by its v3 JSON gateway over HTTP or HTTPS. The member that
/// answered last is asked first; what is left of the patience is shared among the others, so that a frozen
/// member costs a part of one question only.
#pragma once
#include <functional>
#include <memory>
#include <string_view>

#include "common/base/secret.h"
#include "common/config/settings.h"
#include "common/net/http-connection.h"
#include "common/witness/etcd-gateway.h"
#include "common/witness/witness-link.h"

namespace pgtandem {

struct EtcdLinkOptions {
  std::vector<WitnessEndpoint> endpoints;
  std::shared_ptr<asio::ssl::context> tls;  ///< where an endpoint has tls
  std::string key;                          ///< the pair's, see witness_key()
  std::string user;                         ///< empty: no login
  Secret password;
  Secret pair_key;
  Uuid cluster;
};

class EtcdLink final : public WitnessLink {
 public:
  explicit EtcdLink(EtcdLinkOptions options);

  asio::awaitable<Result<WitnessReply>> read(std::chrono::milliseconds patience) override;
  asio::awaitable<Result<WitnessReply>> swap(WitnessRecord record, std::uint64_t expected,
                                             std::chrono::milliseconds patience) override;
  asio::awaitable<void> look_around(std::chrono::milliseconds patience) override;
  std::vector<WitnessMember> members() const override;

  // For an operator's tool, not for a relay:
  /// The pair's key as it is, whoever wrote it.
  asio::awaitable<Result<EtcdAnswer>> look(std::chrono::milliseconds patience);
  /// Deletes the key if its revision is `expected`; not `succeeded` and what is there if it is another.
  asio::awaitable<Result<EtcdAnswer>> erase(std::uint64_t expected, std::chrono::milliseconds patience);

 private:
  struct Member {
    std::unique_ptr<HttpConnection> connection;
    WitnessMember known;
    Deadline asked_at{};
  };
  template <typename Reply>
  struct Question {
    std::string_view path;
    std::string body;
    std::function<Result<Reply>(const std::string& answer)> parse;
  };

  Result<WitnessReply> to_reply(const Result<EtcdAnswer>& answer) const;
  std::unique_ptr<HttpConnection> connect(std::size_t member) const;
  template <typename Reply>
  asio::awaitable<Result<Reply>> ask(Question<Reply> question, std::chrono::milliseconds patience);
  template <typename Reply>
  asio::awaitable<Result<Reply>> ask_member(Member& member, const Question<Reply>& question,
                                            Deadline deadline);
  asio::awaitable<Result<void>> log_in(Member& member, Deadline deadline);
  static void note(Member& member, const std::string& trouble);

  EtcdLinkOptions options_;
  std::vector<Member> members_;
  std::size_t preferred_ = 0;
  Secret token_;
  /// A refused password is not tried again at once: each attempt costs etcd much of a processor.
  Deadline log_in_from_{};
  std::string log_in_trouble_;
};

}  // namespace pgtandem
