/// One bootstrap from the first look to the join, in the order of `pgtandem bootstrap`: preflight, questions,
/// begin, copy, verify, finish. Every way out behind begin either joins the standby or gives the bootstrap up
/// at the relay.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/secret.h"
#include "common/config/settings.h"
#include "server-relay/bootstrap/bootstrap-options.h"
#include "server-relay/bootstrap/copy.h"
#include "server-relay/bootstrap/lease.h"
#include "server-relay/bootstrap/pair-view.h"

namespace pgtandem::bootstrap {

/// Used by one thread, once.
class BootstrapRun {
 public:
  BootstrapRun(const ToolSettings& settings, BootstrapOptions options);
  ~BootstrapRun();

  /// An exit status of sysexits.
  int execute();

 private:
  void preflight();
  void look_at_files();
  void look_at_source();
  void look_at_target();
  void add(std::vector<Finding> findings);
  void problem(std::string text, std::string remedy);
  int refuse();
  Result<void> ask_questions();

  PgLogin source_login() const;
  Endpoint source_postmaster() const;
  Endpoint target_postmaster() const;
  Result<std::unique_ptr<LoaderHost>> connect_host() const;
  std::vector<std::string> loader_arguments(const std::string& mode) const;
  Result<ServerFacts> ask_target_facts();

  Result<Summary> copy_under_lease();
  Result<void> look_again();
  Result<CopyResult> copy();
  Result<CopyResult> copy_with(LoaderStream& stream);
  Result<void> verify();
  Result<Epoch> join(const std::string& sha256);
  Interruptions interruptions() const;
  void show(const ProgressView& view);
  void show_phase(const std::string& phase);
  int give_up(const std::string& why);

  const ToolSettings& settings_;
  BootstrapOptions options_;
  Reporter reporter_;
  std::vector<Finding> findings_;
  std::optional<PairView> pair_;
  std::optional<ServerFacts> source_;
  std::optional<ServerFacts> target_;
  Secret token_;
  std::unique_ptr<LoaderHost> host_;
  std::unique_ptr<Lease> lease_;
  ProgressView last_view_;
};

}  // namespace pgtandem::bootstrap
