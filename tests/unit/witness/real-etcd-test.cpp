/// The codec against a real etcd, where Debian's etcd-server is installed.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <asio/ip/tcp.hpp>
#include <catch2/catch.hpp>

#include "common/net/http-client.h"
#include "common/witness/etcd-gateway.h"
#include "common/witness/witness-value.h"
#include "tests/unit/service/run-awaitable.h"

using namespace pgtandem;
using namespace pgtandem::testing;
using namespace std::chrono_literals;

namespace {

const char* const kEtcd = "/usr/bin/etcd";
const Secret kPairKey{"a key of the pair, long enough"};

std::uint16_t free_port() {
  asio::io_context context;
  asio::ip::tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
  return acceptor.local_endpoint().port();
}

/// An etcd of one member in a folder of its own; it ends with the object, and with this program.
class TestEtcd {
 public:
  TestEtcd() : port_(free_port()) {
    std::string folder = std::filesystem::temp_directory_path() / "pgtandem-etcd-XXXXXX";
    if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = folder;
    const std::string client = "http://127.0.0.1:" + std::to_string(port_);
    const std::string peer = "http://127.0.0.1:" + std::to_string(free_port());
    const std::string cluster = "default=" + peer;
    process_ = ::fork();
    if (process_ != 0) {
      wait_until_it_answers();
      return;
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const std::string log = folder_ + "/log";
    if (std::freopen(log.c_str(), "w", stderr) == nullptr) ::_exit(71);
    ::execl(kEtcd, "etcd", "--data-dir", (folder_ + "/data").c_str(), "--listen-client-urls", client.c_str(),
            "--advertise-client-urls", client.c_str(), "--listen-peer-urls", peer.c_str(),
            "--initial-advertise-peer-urls", peer.c_str(), "--initial-cluster", cluster.c_str(), nullptr);
    ::_exit(71);
  }
  ~TestEtcd() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    std::filesystem::remove_all(folder_);
  }
  TestEtcd(const TestEtcd&) = delete;
  TestEtcd& operator=(const TestEtcd&) = delete;

  HttpResponse post(std::string_view path, std::string body, std::string token = {}) const {
    HttpRequest request;
    request.method = "POST";
    request.path = std::string(path);
    request.body = std::move(body);
    if (!token.empty()) request.headers.emplace_back("Authorization", std::move(token));
    const Endpoint server{"127.0.0.1", port_};
    Result<HttpResponse> response = run_awaitable(http_request(server, std::move(request), 5s));
    return response ? *response : HttpResponse{};
  }

 private:
  void wait_until_it_answers() const {
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (post(kEtcdRangePath, etcd_range_request("x")).status != 200) {
      if (std::chrono::steady_clock::now() > end) throw std::runtime_error("etcd does not answer");
      std::this_thread::sleep_for(20ms);  // the pace of asking
    }
  }

  std::uint16_t port_;
  std::string folder_;
  pid_t process_ = -1;
};

}  // namespace

TEST_CASE("a real etcd swaps once for each revision, and shows what is there to the one that lost") {
  if (!std::filesystem::exists(kEtcd)) {
    WARN("not run: there is no " << kEtcd << " (Debian package etcd-server)");
    return;
  }
  const TestEtcd etcd;
  WitnessRecord record;
  record.role.cluster = random_uuid();
  record.role.epoch = 1;
  record.role.master = record.role.data_node = Node::a;
  record.role.generation = random_uuid();
  record.boot = random_uuid();
  record.beat = 1;
  const Uuid cluster = record.role.cluster;
  const std::string key = witness_key(cluster);
  const auto read = [&]() -> WitnessReply {
    const auto answer = parse_etcd_range(etcd.post(kEtcdRangePath, etcd_range_request(key)).body, key);
    REQUIRE(answer);
    const auto reply = to_witness_reply(*answer, kPairKey, cluster);
    REQUIRE(reply);
    return *reply;
  };
  const auto swap = [&](const WitnessRecord& wanted, std::uint64_t expected) -> WitnessReply {
    const std::string body = etcd_swap_request(key, encode_witness_value(kPairKey, wanted), expected);
    const auto answer = parse_etcd_swap(etcd.post(kEtcdTxnPath, body).body, key);
    REQUIRE(answer);
    const auto reply = to_witness_reply(*answer, kPairKey, cluster);
    REQUIRE(reply);
    return *reply;
  };
  CHECK_FALSE(read().record);
  const WitnessReply created = swap(record, 0);
  CHECK(created.swapped);
  WitnessRecord second = record;
  second.role.epoch = 2;
  second.role.master = Node::b;
  const WitnessReply late = swap(second, 0);
  CHECK_FALSE(late.swapped);
  CHECK(late.record == record);
  CHECK(late.record_revision == created.revision);
  CHECK(read().record_revision == created.revision);
  const WitnessReply won = swap(second, created.revision);
  CHECK(won.swapped);
  CHECK(won.revision > created.revision);
  CHECK(won.identity == created.identity);
  const WitnessReply lost = swap(record, created.revision);
  CHECK_FALSE(lost.swapped);
  CHECK(lost.record == second);

  // With users: the token is asked for again when it is refused.
  for (const auto& [path, body] :
       {std::pair<std::string, std::string>{"/v3/auth/user/add", R"({"name":"root","password":"pw"})"},
        {"/v3/auth/role/add", R"({"name":"root"})"},
        {"/v3/auth/user/grant", R"({"user":"root","role":"root"})"},
        {"/v3/auth/enable", "{}"}}) {
    REQUIRE(etcd.post(path, body).status == 200);
  }
  const HttpResponse without = etcd.post(kEtcdRangePath, etcd_range_request(key));
  CHECK(parse_etcd_failure(without.status, without.body).token_refused);
  const HttpResponse wrong = etcd.post(kEtcdAuthPath, etcd_auth_request("root", Secret("no")));
  CHECK_FALSE(parse_etcd_failure(wrong.status, wrong.body).token_refused);
  const auto token = parse_etcd_auth(etcd.post(kEtcdAuthPath, etcd_auth_request("root", Secret("pw"))).body);
  REQUIRE(token);
  const HttpResponse with = etcd.post(kEtcdRangePath, etcd_range_request(key), std::string(token->reveal()));
  CHECK(parse_etcd_range(with.body, key));
}
