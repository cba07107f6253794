/// Two servers, an sshd and a control port: a place where one bootstrap can be tried.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/unit/bootstrap/support/control-stand-in.h"
#include "tests/unit/bootstrap/support/places.h"
#include "tests/unit/bootstrap/support/test-server.h"
#include "tests/unit/bootstrap/support/test-sshd.h"

namespace pgtandem::bootstrap::testing {

/// The program of support/bootstrap-tool.cpp.
std::string tool_path();

class CopyPlace {
 public:
  struct Options {
    std::string target_data;  ///< as TestServer's
    std::string sshd_options;
  };
  CopyPlace() : CopyPlace(Options{}) {}
  explicit CopyPlace(const Options& options);

  /// Command line of a bootstrap over ssh that asks nothing; `more` wins over what stands before it.
  std::vector<std::string> command(const std::vector<std::string>& more = {}) const;
  /// The same with --local.
  std::vector<std::string> local_command(const std::vector<std::string>& more = {}) const;
  Outcome bootstrap(const std::vector<std::string>& more = {}) const {
    return run(command(more), {}, kLimit);
  }

  /// A program to name with --remote-pgtandem: like the real one, but its stream passes through `filter`.
  std::string spoiled_loader(const std::string& filter) const;
  /// True while a loader or its psql runs on the target's side.
  bool target_is_busy() const;

  static constexpr std::chrono::seconds kLimit{120};
  Folder folder;
  TestServer source;
  TestServer target;
  TestSshd sshd;
  ControlStandIn control;

 private:
  std::vector<std::string> common() const;

  std::string token_file_;
};

/// Some of everything that a dump carries, in several databases; names of the databases.
std::vector<std::string> fill_with_everything(const TestServer& server);

}  // namespace pgtandem::bootstrap::testing
