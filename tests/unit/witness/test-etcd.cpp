#include "tests/unit/witness/test-etcd.h"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <catch2/catch.hpp>

#include "common/witness/etcd-gateway.h"
#include "tests/unit/service/run-awaitable.h"

namespace pgtandem::testing {
namespace {

using namespace std::chrono_literals;

const char* const kEtcd = "/usr/bin/etcd";

std::uint16_t free_port() {
  asio::io_context context;
  asio::ip::tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
  return acceptor.local_endpoint().port();
}

void run_openssl(const std::string& arguments) {
  const std::string command = "openssl " + arguments + " 2>/dev/null";
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

/// A key and a certificate by the authority, good for the alternative names given.
void issue(const TestCertificates& made, const std::string& name, const std::string& alternatives) {
  run_openssl("req -newkey rsa:2048 -nodes -subj /CN=" + name + " -keyout " + made.path(name + ".key") +
              " -out " + made.path(name + ".csr"));
  std::ofstream(made.path(name + ".ext"))
      << "subjectAltName=" << alternatives << "\nextendedKeyUsage=serverAuth,clientAuth\n";
  run_openssl("x509 -req -in " + made.path(name + ".csr") + " -CA " + made.path("ca.pem") + " -CAkey " +
              made.path("ca.key") + " -CAcreateserial -days 2 -extfile " + made.path(name + ".ext") +
              " -out " + made.path(name + ".pem"));
  std::filesystem::permissions(made.path(name + ".key"), std::filesystem::perms::owner_read);
}

}  // namespace

bool etcd_is_installed() {
  if (std::filesystem::exists(kEtcd)) return true;
  WARN("not run: there is no " << kEtcd << " (Debian package etcd-server)");
  return false;
}

TestCertificates::TestCertificates(std::string into) : folder(std::move(into)) {
  std::filesystem::create_directories(folder);
  run_openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-authority -keyout " + path("ca.key") +
              " -out " + path("ca.pem"));
  issue(*this, "server", "IP:127.0.0.1");
  issue(*this, "client", "DNS:relay-a");
}

TestEtcd::TestEtcd(const EtcdSettings& settings) : TestEtcd(Unstarted{}, "default") {
  settings_ = settings;
  start();
  wait_until_it_answers();
}

TestEtcd::TestEtcd(Unstarted, std::string name)
    : name_(std::move(name)), port_(free_port()), peer_port_(free_port()) {
  std::string folder = std::filesystem::temp_directory_path() / "pgtandem-etcd-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("no temporary folder");
  folder_ = folder;
  cluster_ = name_ + "=http://127.0.0.1:" + std::to_string(peer_port_);
}

std::vector<std::unique_ptr<TestEtcd>> TestEtcd::make_cluster(std::size_t members) {
  std::vector<std::unique_ptr<TestEtcd>> made;
  std::string cluster;
  for (std::size_t i = 0; i < members; ++i) {
    made.push_back(std::unique_ptr<TestEtcd>(new TestEtcd(Unstarted{}, "member" + std::to_string(i))));
    cluster += (cluster.empty() ? "" : ",") + made.back()->cluster_;
  }
  for (const auto& member : made) member->cluster_ = cluster;
  for (const auto& member : made) member->start();
  for (const auto& member : made) member->wait_until_it_answers();
  return made;
}

TestEtcd::~TestEtcd() {
  stop();
  std::filesystem::remove_all(folder_);
}

std::string TestEtcd::url() const {
  return (settings_.certificates != nullptr ? "https://" : "http://") + settings_.host + ":" +
         std::to_string(port_);
}

void TestEtcd::start() {
  const std::string client = url();
  const std::string peer = "http://127.0.0.1:" + std::to_string(peer_port_);
  std::vector<std::string> words{"etcd",
                                 "--name",
                                 name_,
                                 "--data-dir",
                                 folder_ + "/data",
                                 "--listen-client-urls",
                                 client,
                                 "--advertise-client-urls",
                                 client,
                                 "--listen-peer-urls",
                                 peer,
                                 "--initial-advertise-peer-urls",
                                 peer,
                                 "--initial-cluster",
                                 cluster_};
  if (const TestCertificates* certificates = settings_.certificates) {
    for (const std::string& word :
         {std::string("--cert-file"), certificates->path("server.pem"), std::string("--key-file"),
          certificates->path("server.key"), std::string("--trusted-ca-file"), certificates->path("ca.pem"),
          std::string("--client-cert-auth")}) {
      words.push_back(word);
    }
  }
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const std::string log = folder_ + "/log";
  const pid_t parent = ::getpid();
  process_ = ::fork();
  if (process_ != 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent || std::freopen(log.c_str(), "a", stderr) == nullptr) ::_exit(71);
  ::execv(kEtcd, arguments.data());
  ::_exit(71);
}

void TestEtcd::stop() {
  if (process_ <= 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
  process_ = -1;
}

void TestEtcd::freeze() const {
  ::kill(process_, SIGSTOP);
}

void TestEtcd::thaw() const {
  ::kill(process_, SIGCONT);
}

void TestEtcd::restart() {
  stop();
  start();
  wait_until_it_answers();
}

void TestEtcd::wipe() {
  stop();
  std::filesystem::remove_all(folder_ + "/data");
  start();
  wait_until_it_answers();
}

HttpResponse TestEtcd::post(std::string_view path, std::string body, std::string token) const {
  HttpRequest request;
  request.method = "POST";
  request.path = std::string(path);
  request.body = std::move(body);
  if (!token.empty()) request.headers.emplace_back("Authorization", std::move(token));
  const Endpoint server{settings_.host, port_};
  Result<HttpResponse> response = run_awaitable(http_request(server, std::move(request), 5s));
  return response ? *response : HttpResponse{};
}

void TestEtcd::enable_auth(const std::string& password) const {
  for (const auto& [path, body] :
       {std::pair<std::string, std::string>{"/v3/auth/user/add",
                                            R"({"name":"root","password":")" + password + "\"}"},
        {"/v3/auth/role/add", R"({"name":"root"})"},
        {"/v3/auth/user/grant", R"({"user":"root","role":"root"})"},
        {"/v3/auth/enable", "{}"}}) {
    REQUIRE(post(path, body).status == 200);
  }
}

/// A member that has not joined its cluster yet takes connections and answers nothing.
void TestEtcd::wait_until_it_answers() const {
  const auto end = std::chrono::steady_clock::now() + 30s;
  while (true) {
    const bool plain = settings_.certificates == nullptr;
    asio::io_context context;
    asio::ip::tcp::socket socket(context);
    asio::error_code failure;
    socket.connect({asio::ip::make_address(settings_.host), port_}, failure);
    if (!failure && (!plain || post(kEtcdRangePath, etcd_range_request("x")).status != 0)) return;
    if (std::chrono::steady_clock::now() > end) throw std::runtime_error("etcd does not answer");
    std::this_thread::sleep_for(20ms);  // the pace of asking
  }
}

}  // namespace pgtandem::testing
