/// The driver of the witness against real etcd members: plain, with TLS, with users, frozen, wiped.
#include "common/witness/etcd-link.h"

#include <filesystem>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "common/net/tls-client.h"
#include "common/witness/witness-value.h"
#include "tests/unit/net/scripted-server.h"
#include "tests/unit/witness/test-etcd.h"

using namespace pgtandem;
using namespace pgtandem::testing;
using namespace std::chrono_literals;

namespace {

const Secret kPairKey{"a key of the pair, long enough"};
constexpr auto kPatience = 1000ms;
/// For what is not about time: a busy machine may take its own.
constexpr auto kLong = 10000ms;

WitnessEndpoint endpoint_of(const TestEtcd& etcd, bool tls = false) {
  return {tls, {"127.0.0.1", etcd.port()}};
}

/// One link on one io_context, as in the relay.
struct Rig {
  explicit Rig(std::vector<WitnessEndpoint> endpoints) {
    options.endpoints = std::move(endpoints);
    options.cluster = random_uuid();
    options.pair_key = kPairKey;
    options.key = witness_key("/pgtandem", options.cluster);
    record.role.cluster = options.cluster;
    record.role.epoch = 1;
    record.role.master = record.role.data_node = Node::a;
    record.role.generation = random_uuid();
    record.boot = random_uuid();
    record.beat = 1;
  }

  template <typename T>
  T run(asio::awaitable<T> work) {
    std::optional<T> result;
    context.restart();
    asio::co_spawn(
        context,
        [&result, inner = std::move(work)]() mutable -> asio::awaitable<void> {
          result.emplace(co_await std::move(inner));
        },
        [](const std::exception_ptr& thrown) {
          if (thrown) std::rethrow_exception(thrown);
        });
    context.run();
    REQUIRE(result);
    return std::move(*result);
  }
  EtcdLink& link() {
    if (made == nullptr) made = std::make_unique<EtcdLink>(options);
    return *made;
  }
  Result<WitnessReply> read(std::chrono::milliseconds patience = kLong) { return run(link().read(patience)); }
  Result<WitnessReply> swap(std::uint64_t expected, std::chrono::milliseconds patience = kLong) {
    ++record.beat;
    return run(link().swap(record, expected, patience));
  }
  void look_around() {
    context.restart();
    asio::co_spawn(context, link().look_around(kPatience), [](const std::exception_ptr& thrown) {
      if (thrown) std::rethrow_exception(thrown);
    });
    context.run();
  }

  asio::io_context context;
  EtcdLinkOptions options;
  WitnessRecord record;
  std::unique_ptr<EtcdLink> made;
};

std::string error_of(const Result<WitnessReply>& reply) {
  return reply ? "" : reply.error();
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string temporary_folder() {
  std::string folder = std::filesystem::temp_directory_path() / "pgtandem-tls-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("no temporary folder");
  return folder;
}

}  // namespace

TEST_CASE("a compare-and-swap by the link is written once, and shows what is there to the one that lost") {
  if (!etcd_is_installed()) return;
  const TestEtcd etcd;
  Rig rig({endpoint_of(etcd)});
  const auto none = rig.read();
  INFO(error_of(none));
  REQUIRE(none);
  CHECK_FALSE(none->record);
  const auto created = rig.swap(0);
  REQUIRE(created);
  CHECK(created->swapped);
  const WitnessRecord first = rig.record;
  const auto lost = rig.swap(0);
  REQUIRE(lost);
  CHECK_FALSE(lost->swapped);
  CHECK(lost->record == first);
  const auto renewed = rig.swap(created->revision);
  REQUIRE(renewed);
  CHECK(renewed->swapped);
  CHECK(rig.read()->record == rig.record);
}

TEST_CASE("an operator's tool sees whatever the key holds, and deletes what it has seen and nothing else") {
  if (!etcd_is_installed()) return;
  const TestEtcd etcd;
  Rig rig({endpoint_of(etcd)});
  const auto look = [&rig] { return rig.run(rig.link().look(kLong)); };
  const auto erase = [&rig](std::uint64_t revision) { return rig.run(rig.link().erase(revision, kLong)); };
  REQUIRE(look());
  CHECK_FALSE(look()->value);
  REQUIRE(rig.swap(0));
  rig.options.pair_key = Secret("the key of somebody else, long");
  rig.made.reset();
  const auto seen = look();
  REQUIRE(seen);
  REQUIRE(seen->value);
  CHECK(seen->cluster_id != 0);
  const auto wrong = erase(seen->value->mod_revision + 1);
  REQUIRE(wrong);
  CHECK_FALSE(wrong->succeeded);
  CHECK(wrong->value->mod_revision == seen->value->mod_revision);
  const auto erased = erase(seen->value->mod_revision);
  REQUIRE(erased);
  CHECK(erased->succeeded);
  CHECK_FALSE(look()->value);
  const auto gone = erase(seen->value->mod_revision);
  REQUIRE(gone);
  CHECK_FALSE(gone->succeeded);
  CHECK_FALSE(gone->value);
}

TEST_CASE("many pairs share one witness without seeing each other") {
  if (!etcd_is_installed()) return;
  const TestEtcd etcd;
  Rig one({endpoint_of(etcd)});
  Rig other({endpoint_of(etcd)});
  REQUIRE(one.swap(0));
  const auto seen = other.read();
  REQUIRE(seen);
  CHECK_FALSE(seen->record);
  CHECK(other.swap(0)->swapped);
  CHECK(one.read()->record == one.record);
}

TEST_CASE("a record that another key has signed is no answer") {
  if (!etcd_is_installed()) return;
  const TestEtcd etcd;
  Rig rig({endpoint_of(etcd)});
  REQUIRE(rig.swap(0));
  rig.options.pair_key = Secret("the key of somebody else, long");
  rig.made.reset();
  const auto reply = rig.read();
  REQUIRE_FALSE(reply);
  CHECK(contains(reply.error(), "not signed with this pair's key"));
}

TEST_CASE("a member that is down is passed by, and the one that answers is asked first from then on") {
  if (!etcd_is_installed()) return;
  auto down = std::make_unique<TestEtcd>();
  const WitnessEndpoint address = endpoint_of(*down);
  down.reset();
  const TestEtcd etcd;
  Rig rig({address, endpoint_of(etcd)});
  REQUIRE(rig.read());
  CHECK_FALSE(rig.link().members()[0].answers);
  CHECK(contains(rig.link().members()[0].trouble, "cannot connect"));
  CHECK(rig.link().members()[1].answers);
  CHECK(rig.link().members()[1].trouble.empty());
}

TEST_CASE("where no member answers, the silence has a reason and comes within the patience") {
  if (!etcd_is_installed()) return;
  auto etcd = std::make_unique<TestEtcd>();
  Rig rig({endpoint_of(*etcd)});
  REQUIRE(rig.read());
  etcd->freeze();
  const auto begun = std::chrono::steady_clock::now();
  const auto reply = rig.swap(0, kPatience);
  CHECK(std::chrono::steady_clock::now() - begun >= kPatience - 50ms);
  REQUIRE_FALSE(reply);
  CHECK(contains(reply.error(), "no answer within"));
  etcd->thaw();
  CHECK(rig.read());
  etcd.reset();
  const auto gone = rig.read();
  REQUIRE_FALSE(gone);
  CHECK(contains(gone.error(), "cannot connect"));
}

TEST_CASE("one frozen member of three costs a part of one question only; two of them are a silence") {
  if (!etcd_is_installed()) return;
  const auto cluster = TestEtcd::make_cluster(3);
  Rig rig({endpoint_of(*cluster[0]), endpoint_of(*cluster[1]), endpoint_of(*cluster[2])});
  const auto created = rig.swap(0);
  INFO(error_of(created));
  REQUIRE(created);
  cluster[0]->freeze();
  // A new leader may have to be found first: asked until one of the others has answered.
  std::optional<Result<WitnessReply>> second;
  for (int i = 0; i < 20 && (!second || !*second); ++i) second.emplace(rig.read(kPatience));
  INFO(error_of(*second));
  REQUIRE(*second);
  CHECK((**second).record == rig.record);
  CHECK_FALSE(rig.link().members()[0].answers);
  CHECK(rig.swap(created->revision, kLong)->swapped);
  cluster[1]->freeze();
  CHECK_FALSE(rig.swap(created->revision, kPatience));
  cluster[1]->thaw();
  std::optional<Result<WitnessReply>> third;
  for (int i = 0; i < 20 && (!third || !*third); ++i) third.emplace(rig.read(kPatience));
  CHECK(*third);
  cluster[0]->thaw();
}

TEST_CASE("members that answer no question are looked at for the status") {
  if (!etcd_is_installed()) return;
  const TestEtcd first;
  auto second = std::make_unique<TestEtcd>();
  Rig rig({endpoint_of(first), endpoint_of(*second)});
  REQUIRE(rig.read());
  CHECK_FALSE(rig.link().members()[1].asked);
  rig.look_around();
  CHECK(rig.link().members()[1].answers);
  second.reset();
  rig.made.reset();
  rig.look_around();
  CHECK(rig.link().members()[0].answers);
  CHECK_FALSE(rig.link().members()[1].answers);
}

TEST_CASE("by TLS both sides show certificates, and each refuses what the other may not show") {
  if (!etcd_is_installed()) return;
  const std::string folder = temporary_folder();
  const TestCertificates certificates(folder);
  const TestCertificates foreign(folder + "/foreign");
  EtcdSettings settings;
  settings.certificates = &certificates;
  const TestEtcd etcd(settings);
  const auto read_with = [&](const TlsClientOptions& tls, const std::string& host) {
    const auto context = make_tls_client(tls);
    INFO((context ? "" : context.error()));
    REQUIRE(context);
    Rig rig({{true, {host, etcd.port()}}});
    rig.options.tls = *context;
    return rig.read();
  };
  const auto text_of = [](const std::string& path) {
    std::string text(std::filesystem::file_size(path), '\0');
    std::FILE* file = std::fopen(path.c_str(), "r");
    REQUIRE(file != nullptr);
    CHECK(std::fread(text.data(), 1, text.size(), file) == text.size());
    std::fclose(file);
    return text;
  };
  TlsClientOptions good;
  good.ca_file = certificates.path("ca.pem");
  good.cert_file = certificates.path("client.pem");
  good.key = Secret(text_of(certificates.path("client.key")));
  const auto reply = read_with(good, "127.0.0.1");
  INFO(error_of(reply));
  CHECK(reply);

  // The certificate is for the address, not for the name.
  const auto other_name = read_with(good, "localhost");
  CHECK(contains(error_of(other_name), "certificate verify failed"));
  TlsClientOptions other_authority = good;
  other_authority.ca_file = foreign.path("ca.pem");
  CHECK(contains(error_of(read_with(other_authority, "127.0.0.1")), "certificate verify failed"));
  TlsClientOptions nobody;
  nobody.ca_file = good.ca_file;
  CHECK_FALSE(read_with(nobody, "127.0.0.1"));
  TlsClientOptions stranger = good;
  stranger.cert_file = foreign.path("client.pem");
  stranger.key = Secret(text_of(foreign.path("client.key")));
  CHECK_FALSE(read_with(stranger, "127.0.0.1"));

  TlsClientOptions misfit = good;
  misfit.key = Secret(text_of(certificates.path("server.key")));
  const auto refused = make_tls_client(misfit);
  REQUIRE_FALSE(refused);
  TlsClientOptions missing = good;
  missing.ca_file = folder + "/nothing.pem";
  const auto unread = make_tls_client(missing);
  REQUIRE_FALSE(unread);
  CHECK(contains(unread.error(), "nothing.pem"));
  std::filesystem::remove_all(folder);
}

TEST_CASE("with users the link logs in, and again when its token is gone") {
  if (!etcd_is_installed()) return;
  TestEtcd etcd;
  etcd.enable_auth("the right password");
  Rig rig({endpoint_of(etcd)});
  CHECK(contains(error_of(rig.read()), "user name is empty"));
  rig.options.user = "root";
  rig.options.password = Secret("the right password");
  rig.made.reset();
  const auto created = rig.swap(0);
  INFO(error_of(created));
  REQUIRE(created);
  // Tokens do not survive the member.
  etcd.restart();
  const auto again = rig.read();
  INFO(error_of(again));
  REQUIRE(again);
  CHECK(again->record == rig.record);
}

TEST_CASE("a wrong password is a silence whose reason names the user and never the password") {
  if (!etcd_is_installed()) return;
  TestEtcd etcd;
  etcd.enable_auth("the right password");
  Rig rig({endpoint_of(etcd)});
  rig.options.user = "root";
  rig.options.password = Secret("guess-7461");
  for (int i = 0; i < 3; ++i) {
    const auto reply = rig.read();
    REQUIRE_FALSE(reply);
    CHECK(contains(reply.error(), "user \"root\" (witness.user) cannot log in"));
    CHECK_FALSE(contains(reply.error(), "guess-7461"));
  }
}

TEST_CASE("what is no etcd is a silence with a reason") {
  const auto answer = [](std::string text) {
    return [text = std::move(text)](test::Visitor& visitor) -> asio::awaitable<void> {
      co_await visitor.read_header();
      co_await visitor.send(text);
    };
  };
  const auto error_from = [&](const std::string& text) {
    const test::ScriptedServer server(answer(text));
    Rig rig({{false, server.endpoint()}});
    return error_of(rig.read());
  };
  const std::string ok = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n";
  CHECK(contains(error_from(ok + "Content-Length: 6\r\n\r\n<html>"), "no JSON object"));
  CHECK(contains(error_from(ok + "Content-Length: 2\r\n\r\n{}"), "no header"));
  CHECK(contains(error_from(ok + "Content-Length: 99999999\r\n\r\n"), "larger than the allowed"));
  CHECK(contains(error_from("SSH-2.0-OpenSSH_9.2\r\n"), "no HTTP"));
  CHECK(contains(error_from("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"), "status 503"));
  CHECK(contains(error_from(""), "closed before the end of the header"));
}
