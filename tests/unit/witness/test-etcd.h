/// Real etcd members for tests, where Debian's etcd-server is installed. They end with their object, and with
/// this program.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

#include "common/net/http-client.h"

namespace pgtandem::testing {

/// False, with a warning in the test's output, where there is no etcd.
bool etcd_is_installed();

/// A certificate authority, and a server's and a client's certificate by it, in a folder.
struct TestCertificates {
  explicit TestCertificates(std::string folder);
  std::string path(const std::string& name) const { return folder + "/" + name; }

  std::string folder;
};

struct EtcdSettings {
  std::string host = "127.0.0.1";                  ///< of the client URL
  const TestCertificates* certificates = nullptr;  ///< TLS, and clients must show a certificate
};

/// One member; of a cluster of its own unless make_cluster() made it.
class TestEtcd {
 public:
  explicit TestEtcd(const EtcdSettings& settings = {});
  static std::vector<std::unique_ptr<TestEtcd>> make_cluster(std::size_t members);
  ~TestEtcd();
  TestEtcd(const TestEtcd&) = delete;
  TestEtcd& operator=(const TestEtcd&) = delete;

  /// POST to the plain gateway.
  HttpResponse post(std::string_view path, std::string body, std::string token = {}) const;
  /// The user "root" with the role "root" and this password; from now on clients must log in.
  void enable_auth(const std::string& password) const;
  std::uint16_t port() const { return port_; }
  std::string url() const;

  void freeze() const;
  void thaw() const;
  /// kill -9, then the same member again.
  void restart();
  /// The same address, with nothing in it.
  void wipe();

 private:
  struct Unstarted {};
  TestEtcd(Unstarted, std::string name);
  void start();
  void stop();
  void wait_until_it_answers() const;

  EtcdSettings settings_;
  std::string name_ = "default";
  std::uint16_t port_;
  std::uint16_t peer_port_;
  std::string cluster_;
  std::string folder_;
  pid_t process_ = -1;
};

}  // namespace pgtandem::testing
