#include "common/witness/etcd-link.h"

#include <algorithm>

#include "common/witness/witness-value.h"

namespace pgtandem {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr auto kLogInAgain = 2s;
/// A member that was asked within this time needs no look.
constexpr auto kFresh = 5s;

milliseconds left_until(Deadline deadline) {
  return std::max(std::chrono::duration_cast<milliseconds>(deadline - Clock::now()), 1ms);
}

std::string url_of(const WitnessEndpoint& endpoint) {
  return (endpoint.tls ? "https://" : "http://") + to_string(endpoint.address);
}

}  // namespace

EtcdLink::EtcdLink(EtcdLinkOptions options) : options_(std::move(options)) {
  for (std::size_t i = 0; i < options_.endpoints.size(); ++i) {
    Member member;
    member.connection = connect(i);
    member.known.url = url_of(options_.endpoints[i]);
    members_.push_back(std::move(member));
  }
}

std::unique_ptr<HttpConnection> EtcdLink::connect(std::size_t member) const {
  const WitnessEndpoint& endpoint = options_.endpoints[member];
  return std::make_unique<HttpConnection>(endpoint.address, endpoint.tls ? options_.tls : nullptr);
}

Result<WitnessReply> EtcdLink::to_reply(const Result<EtcdAnswer>& answer) const {
  if (!answer) return Error{answer.error()};
  return to_witness_reply(*answer, options_.pair_key, options_.cluster);
}

asio::awaitable<Result<WitnessReply>> EtcdLink::read(milliseconds patience) {
  Question<WitnessReply> question;
  question.path = kEtcdRangePath;
  question.body = etcd_range_request(options_.key);
  question.parse = [this](const std::string& answer) {
    return to_reply(parse_etcd_range(answer, options_.key));
  };
  return ask(std::move(question), patience);
}

asio::awaitable<Result<WitnessReply>> EtcdLink::swap(WitnessRecord record, std::uint64_t expected,
                                                     milliseconds patience) {
  Question<WitnessReply> question;
  question.path = kEtcdTxnPath;
  question.body = etcd_swap_request(options_.key, encode_witness_value(options_.pair_key, record), expected);
  question.parse = [this](const std::string& answer) {
    return to_reply(parse_etcd_swap(answer, options_.key));
  };
  return ask(std::move(question), patience);
}

asio::awaitable<Result<EtcdAnswer>> EtcdLink::look(milliseconds patience) {
  return ask(Question<EtcdAnswer>{kEtcdRangePath, etcd_range_request(options_.key),
                                  [this](const std::string& answer) {
                                    return parse_etcd_range(answer, options_.key);
                                  }},
             patience);
}

asio::awaitable<Result<EtcdAnswer>> EtcdLink::erase(std::uint64_t expected, milliseconds patience) {
  return ask(Question<EtcdAnswer>{kEtcdTxnPath, etcd_erase_request(options_.key, expected),
                                  [this](const std::string& answer) {
                                    return parse_etcd_erase(answer, options_.key);
                                  }},
             patience);
}

template <typename Reply>
asio::awaitable<Result<Reply>> EtcdLink::ask(Question<Reply> question, milliseconds patience) {
  const Deadline deadline = Clock::now() + patience;
  std::string trouble = "there is no member of the witness to ask";
  for (std::size_t i = 0; i < members_.size(); ++i) {
    const std::size_t index =
        preferred_ + i < members_.size() ? preferred_ + i : preferred_ + i - members_.size();
    const bool last = i + 1 == members_.size();
    const milliseconds left = left_until(deadline);
    const Deadline share = last ? deadline : Clock::now() + left / 2;
    Member& member = members_[index];
    Result<Reply> reply = co_await ask_member(member, question, share);
    note(member, reply ? std::string() : reply.error());
    if (reply) {
      preferred_ = index;
      co_return reply;
    }
    trouble = reply.error();
  }
  // The next question begins with another one.
  preferred_ = preferred_ + 1 < members_.size() ? preferred_ + 1 : 0;
  co_return Error{trouble};
}

template <typename Reply>
asio::awaitable<Result<Reply>> EtcdLink::ask_member(Member& member, const Question<Reply>& question,
                                                    Deadline deadline) {
  bool again = false;
  while (true) {
    if (!options_.user.empty() && token_.empty()) {
      const Result<void> in = co_await log_in(member, deadline);
      if (!in) co_return Error{in.error()};
    }
    HttpRequest request;
    request.method = "POST";
    request.path = std::string(question.path);
    request.headers.emplace_back("Content-Type", "application/json");
    if (!token_.empty()) request.headers.emplace_back("Authorization", std::string(token_.reveal()));
    request.body = question.body;
    const Result<HttpResponse> response =
        co_await member.connection->request(std::move(request), left_until(deadline), kMaxEtcdAnswer);
    if (!response) co_return Error{response.error()};
    if (response->status == 200) {
      Result<Reply> reply = question.parse(response->body);
      if (reply) co_return reply;
      co_return Error{member.known.url + ": " + reply.error()};
    }
    const EtcdFailure failure = parse_etcd_failure(response->status, response->body);
    // A token ends after some minutes without use, and when a member starts anew.
    const bool log_in_again = failure.token_refused && !options_.user.empty() && !again;
    if (!log_in_again) co_return Error{member.known.url + ": " + failure.text};
    again = true;
    token_.clear();
  }
}

asio::awaitable<Result<void>> EtcdLink::log_in(Member& member, Deadline deadline) {
  if (Clock::now() < log_in_from_) co_return Error{log_in_trouble_};
  HttpRequest request;
  request.method = "POST";
  request.path = std::string(kEtcdAuthPath);
  request.headers.emplace_back("Content-Type", "application/json");
  request.body = etcd_auth_request(options_.user, options_.password);
  const Result<HttpResponse> response =
      co_await member.connection->request(std::move(request), left_until(deadline), kMaxEtcdAnswer);
  if (!response) co_return Error{response.error()};
  if (response->status == 200) {
    Result<Secret> token = parse_etcd_auth(response->body);
    if (!token) co_return Error{member.known.url + ": " + token.error()};
    token_ = std::move(*token);
    co_return Result<void>{};
  }
  const EtcdFailure failure = parse_etcd_failure(response->status, response->body);
  log_in_from_ = Clock::now() + kLogInAgain;
  log_in_trouble_ =
      member.known.url + ": user \"" + options_.user + "\" (witness.user) cannot log in: " + failure.text;
  co_return Error{log_in_trouble_};
}

void EtcdLink::note(Member& member, const std::string& trouble) {
  member.asked_at = Clock::now();
  member.known.asked = true;
  member.known.answers = trouble.empty();
  member.known.trouble = trouble;
}

asio::awaitable<void> EtcdLink::look_around(milliseconds patience) {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (members_[i].known.asked && Clock::now() - members_[i].asked_at < kFresh) continue;
    // Of its own: the member's connection may be in use.
    const std::unique_ptr<HttpConnection> connection = connect(i);
    HttpRequest request;
    request.path = "/health";
    const Result<HttpResponse> response =
        co_await connection->request(std::move(request), patience, kMaxEtcdAnswer);
    std::string trouble = response ? std::string() : response.error();
    if (response && response->status != 200)
      trouble = members_[i].known.url + ": " + parse_etcd_failure(response->status, response->body).text;
    note(members_[i], trouble);
  }
}

std::vector<WitnessMember> EtcdLink::members() const {
  std::vector<WitnessMember> known;
  for (const Member& member : members_) known.push_back(member.known);
  return known;
}

}  // namespace pgtandem
