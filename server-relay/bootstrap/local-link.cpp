#include <signal.h>
#include <unistd.h>

#include "server-relay/bootstrap/child-process.h"
#include "server-relay/bootstrap/loader-link.h"

namespace pgtandem::bootstrap {
namespace {

constexpr std::size_t kReadStep = 64U << 10;

class LocalLink final : public LoaderLink {
 public:
  explicit LocalLink(ChildProcess child) : child_(std::move(child)) {}

  Result<std::size_t> write(ByteSpan bytes) override { return child_.write_stdin(bytes); }
  Result<bool> read(std::string& out) override {
    child_.drain_stderr();
    return child_.read_stdout(out, kReadStep);
  }
  Result<void> close_input(std::chrono::milliseconds) override {
    child_.close_stdin();
    return {};
  }
  void add_poll(std::vector<pollfd>& fds, bool have_output) const override {
    fds.push_back({child_.stdout_fd(), POLLIN, 0});
    fds.push_back({child_.stderr_fd(), POLLIN, 0});
    if (have_output) fds.push_back({child_.stdin_fd(), POLLOUT, 0});
  }
  Result<int> exit_status(std::chrono::milliseconds limit) override { return child_.wait(limit).status; }
  std::string error_text() override { return child_.error_text(); }

 private:
  ChildProcess child_;
};

class LocalHost final : public LoaderHost {
 public:
  explicit LocalHost(std::string pgtandem) : pgtandem_(std::move(pgtandem)) {}

  Result<std::unique_ptr<LoaderLink>> start(const std::vector<std::string>& arguments) override {
    ChildOptions options;
    options.argv = {pgtandem_, "load"};
    options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
    options.environment = child_environment({});
    options.pipe_stdin = true;
    options.pipe_stdout = true;
    Result<ChildProcess> child = ChildProcess::start(options);
    if (!child) return Error{child.error()};
    return std::unique_ptr<LoaderLink>(std::make_unique<LocalLink>(std::move(*child)));
  }
  std::string name() const override { return "this host"; }

 private:
  std::string pgtandem_;
};

}  // namespace

std::unique_ptr<LoaderHost> local_loader_host(std::string pgtandem) {
  if (pgtandem.empty()) pgtandem = "/proc/self/exe";
  return std::make_unique<LocalHost>(std::move(pgtandem));
}

}  // namespace pgtandem::bootstrap
