/// A real PostgreSQL server in a folder of its own, with a superuser "pgtandem" that logs in by SCRAM and a
/// passfile.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "common/net/endpoint.h"
#include "tests/unit/bootstrap/support/places.h"

namespace pgtandem::bootstrap::testing {

inline constexpr const char* kPostgresBin = "/usr/lib/postgresql/15/bin";

class TestServer {
 public:
  /// `data`: an empty folder of user postgres (a mount), or empty: below `folder`.
  TestServer(const Folder& folder, const std::string& name, const std::vector<std::string>& settings = {},
             const std::string& data = {});
  ~TestServer();
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string passfile() const { return passfile_; }
  std::string log() const { return read_file(log_); }

  /// Rows of psql, unaligned; fails the test on an error.
  std::string sql(const std::string& text, const std::string& database = "postgres") const;
  /// Runs a client program as the service user.
  Outcome client(const std::string& program, const std::vector<std::string>& arguments) const;
  /// Everything that can be dumped, as text, without what differs between two runs of one server.
  std::string whole_content(const std::vector<std::string>& databases) const;
  void stop();

 private:
  std::uint16_t port_;
  std::string passfile_;
  std::string log_;
  std::unique_ptr<Program> program_;
};

}  // namespace pgtandem::bootstrap::testing
