#include "server-relay/bootstrap/bootstrap-run.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <sysexits.h>
#include <unistd.h>

#include "common/config/secret-file.h"
#include "server-relay/bootstrap/stop-signal.h"
#include "server-relay/bootstrap/verify.h"

namespace pgtandem::bootstrap {
namespace {

using Clock = std::chrono::steady_clock;
using Kind = Finding::Kind;

/// Sizes of many large databases on slow disks take minutes.
constexpr auto kFactsLimit = std::chrono::minutes(10);

/// The relay's service connections and ours are not counted.
constexpr const char* kOthersOnMaster = R"(
SELECT count(*) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND application_name NOT LIKE 'pgtandem%' AND pid <> pg_backend_pid())";

}  // namespace

BootstrapRun::BootstrapRun(const ToolSettings& settings, BootstrapOptions options)
    : settings_(settings), options_(std::move(options)), reporter_(options_.style) {}

BootstrapRun::~BootstrapRun() = default;

int BootstrapRun::execute() {
  preflight();
  for (const Finding& finding : findings_) reporter_.finding(finding);
  if (stop_requested()) {
    reporter_.failed("interrupted; nothing was changed", "");
    return EX_TEMPFAIL;
  }
  if (has_problem(findings_)) return refuse();
  if (options_.check_only) {
    reporter_.step("nothing is in the way of a bootstrap");
    return EX_OK;
  }
  const Result<void> agreed = ask_questions();
  if (!agreed) {
    reporter_.failed(agreed.error(), "");
    return EX_UNAVAILABLE;
  }
  Result<std::unique_ptr<Lease>> lease = Lease::begin(pair_->active_control, token_);
  if (!lease) {
    reporter_.failed(lease.error() + "; nothing was changed", "");
    return EX_UNAVAILABLE;
  }
  lease_ = std::move(*lease);
  reporter_.step("clients are disconnected, writes are held; the copy begins");
  const Result<Summary> summary = copy_under_lease();
  if (!summary) return give_up(summary.error());
  reporter_.done(*summary);
  return EX_OK;
}

int BootstrapRun::refuse() {
  const auto problems = std::ranges::count(findings_, Kind::problem, &Finding::kind);
  reporter_.failed(std::to_string(problems) + (problems == 1 ? " problem is" : " problems are") +
                       " in the way; nothing was changed",
                   "solve what is said above, then run it again");
  return EX_UNAVAILABLE;
}

void BootstrapRun::problem(std::string text, std::string remedy) {
  findings_.push_back({Kind::problem, std::move(text), std::move(remedy)});
}

void BootstrapRun::add(std::vector<Finding> findings) {
  std::ranges::move(findings, std::back_inserter(findings_));
}

void BootstrapRun::preflight() {
  Result<PairView> pair = find_pair(settings_.relays);
  if (pair) {
    pair_ = std::move(*pair);
    add(check_pair(*pair_, options_.preflight));
  } else {
    problem(pair.error(), "");
  }
  if (settings_.token_file.empty()) {
    problem("no token for the control port", "set [control] token_file, or give --token-file");
  } else {
    const Result<Secret> token = read_secret_file(settings_.token_file, 1);
    if (token) {
      token_ = *token;
    } else {
      problem(token.error(), "");
    }
  }
  look_at_files();
  if (options_.service_user.empty()) {
    problem("no service user is named",
            "set [service] user and passfile, or give --service-user and --service-passfile");
    return;
  }
  look_at_source();
  look_at_target();
  if (source_ && target_) add(compare_servers(*source_, *target_, options_.preflight));
}

void BootstrapRun::look_at_files() {
  std::error_code error;
  if (!options_.to_file.empty() && std::filesystem::exists(options_.to_file, error)) {
    problem("--to-file: " + options_.to_file + " exists already", "name another file, or remove it");
  }
  if (!options_.from_file.empty() && ::access(options_.from_file.c_str(), R_OK) != 0) {
    problem("--from-file: " + options_.from_file + " cannot be read", "");
  }
}

Endpoint BootstrapRun::source_postmaster() const {
  if (options_.source_postmaster) return *options_.source_postmaster;
  if (!pair_) return {};
  return (pair_->source == Node::b ? settings_.b : settings_.a).postmaster;
}

Endpoint BootstrapRun::target_postmaster() const {
  if (options_.target_postmaster) return *options_.target_postmaster;
  if (!pair_) return {};
  return (pair_->target == Node::b ? settings_.b : settings_.a).postmaster;
}

PgLogin BootstrapRun::source_login() const {
  PgLogin login;
  login.server = source_postmaster();
  login.user = options_.service_user;
  login.passfile = options_.passfile;
  return login;
}

void BootstrapRun::look_at_source() {
  if (source_postmaster().port == 0) {
    problem("the address of the master's server is not known",
            "set [nodes.a] and [nodes.b] postmaster, or give --source-postmaster");
    return;
  }
  Result<ServerFacts> facts = query_server_facts(source_login());
  if (!facts) {
    problem("the master: " + facts.error(),
            "run this on the master's host; see --source-postmaster, --service-user and --service-passfile");
    return;
  }
  source_ = std::move(*facts);
  add_host_facts(*source_, {}, "pg_dump", options_.pg_bin);
  add(check_source(*source_));
}

Result<std::unique_ptr<LoaderHost>> BootstrapRun::connect_host() const {
  if (options_.local) return local_loader_host(options_.pgtandem);
  SshOptions ssh = options_.ssh;
  if (ssh.host.empty() && pair_) {
    ssh.host = (pair_->target == Node::b ? settings_.b : settings_.a).host;
    const auto node = pair_->active.nodes.find(pair_->target);
    if (ssh.host.empty() && pair_->active.pair_mode && node != pair_->active.nodes.end())
      ssh.host = node->second.host;
  }
  if (ssh.host.empty())
    return Error{"the target's host is not known: give --target-host, or --local if it is this one"};
  return ssh_loader_host(ssh);
}

std::vector<std::string> BootstrapRun::loader_arguments(const std::string& mode) const {
  std::vector<std::string> arguments = {mode, "--postmaster", to_string(target_postmaster()),
                                        "--service-user", options_.service_user};
  if (!options_.target_passfile.empty()) {
    arguments.insert(arguments.end(), {"--service-passfile", options_.target_passfile});
  }
  if (!options_.target_pg_bin.empty())
    arguments.insert(arguments.end(), {"--pg-bin", options_.target_pg_bin});
  return arguments;
}

Result<ServerFacts> BootstrapRun::ask_target_facts() {
  const FactsRequest request = source_ ? question_about(*source_) : FactsRequest{};
  const Result<std::string> answer =
      ask_loader(*host_, loader_arguments("--facts"), to_json(request), kFactsLimit);
  if (!answer) return Error{answer.error()};
  return parse_facts(*answer);
}

void BootstrapRun::look_at_target() {
  if (target_postmaster().port == 0) {
    problem("the address of the target's server is not known",
            "set [nodes.a] and [nodes.b] postmaster, or give --target-postmaster");
    return;
  }
  Result<std::unique_ptr<LoaderHost>> host = connect_host();
  if (!host) {
    problem(host.error(), "");
    return;
  }
  host_ = std::move(*host);
  Result<ServerFacts> facts = ask_target_facts();
  if (!facts) {
    problem("the target: " + facts.error(), "");
    return;
  }
  target_ = std::move(*facts);
  add(check_target(*target_));
}

Result<void> BootstrapRun::ask_questions() {
  bool asked = false;
  for (const Finding& finding : findings_) {
    if (finding.kind != Kind::question) continue;
    if (::isatty(STDIN_FILENO) == 0) {
      return Error{finding.text + ": give " + finding.remedy + " if that is meant; nothing was changed"};
    }
    std::cout << finding.text << ".\nGo on? Type yes: " << std::flush;
    std::string answer;
    std::getline(std::cin, answer);
    if (answer != "yes" || stop_requested()) return Error{"given up; nothing was changed"};
    if (finding.remedy == "--replace") options_.preflight.replace = true;
    asked = true;
  }
  if (!asked) return {};
  // People take their time; a firewall may have forgotten the connection by now.
  Result<std::unique_ptr<LoaderHost>> host = connect_host();
  if (!host) return Error{host.error() + "; nothing was changed"};
  host_ = std::move(*host);
  return {};
}

Interruptions BootstrapRun::interruptions() const {
  return {{lease_->lost_fd(), stop_fd()}, [this]() -> Result<void> {
            if (stop_requested()) return Error{"interrupted by a signal"};
            return lease_->check();
          }};
}

void BootstrapRun::show(const ProgressView& view) {
  last_view_ = view;
  lease_->report(view);
  reporter_.progress(view);
}

void BootstrapRun::show_phase(const std::string& phase) {
  last_view_.phase = phase;
  last_view_.database.clear();
  last_view_.left.reset();
  show(last_view_);
}

Result<Summary> BootstrapRun::copy_under_lease() {
  const Clock::time_point begun = Clock::now();
  if (lease_->target() != pair_->target)
    return Error{"the master changed in the meantime; see pgtandem status"};
  show_phase("begin");
  Result<void> good = look_again();
  if (!good) return Error{good.error()};
  const Result<CopyResult> copied = copy();
  if (!copied) return Error{copied.error()};
  show_phase("verify");
  good = verify();
  if (good) good = interruptions().check();
  if (!good) return Error{good.error()};
  show_phase("join");
  const Result<Epoch> epoch = join(copied->sha256);
  if (!epoch) return Error{epoch.error()};
  Summary summary;
  summary.databases = copied->pieces == 0 ? 0 : copied->pieces - 1;
  summary.bytes = copied->bytes;
  summary.wire_bytes = copied->wire_bytes;
  summary.duration = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun);
  summary.epoch = *epoch;
  summary.sha256 = copied->sha256;
  summary.kept_file = options_.to_file;
  summary.left = copied->left;
  return summary;
}

/// Since the preflight the clients may have made databases, roles and prepared transactions; now they cannot
/// any more.
Result<void> BootstrapRun::look_again() {
  Result<ServerFacts> facts = query_server_facts(source_login());
  if (!facts) return Error{"the master: " + facts.error()};
  facts->client_version = source_->client_version;
  source_ = std::move(*facts);
  for (const Finding& finding : check_source(*source_)) {
    if (finding.kind == Kind::problem) return Error{finding.text + ": " + finding.remedy};
  }
  Result<PgSession> session = PgSession::open(source_login(), "template1");
  if (!session) return Error{session.error()};
  const Result<std::string> others = session->value(kOthersOnMaster);
  if (!others) return Error{others.error()};
  if (*others != "0") {
    reporter_.finding({Kind::note,
                       *others + " session(s) work on the master around the relay; what they write now may "
                                 "be missing on the standby",
                       ""});
  }
  return {};
}

Result<CopyResult> BootstrapRun::copy() {
  std::vector<std::string> arguments = loader_arguments("--stream");
  arguments.emplace_back("--attached");
  if (options_.preflight.replace) arguments.emplace_back("--replace");
  if (!options_.preflight.tablespaces) arguments.emplace_back("--no-tablespaces");
  Result<std::unique_ptr<LoaderLink>> link = host_->start(arguments);
  if (!link) return Error{link.error()};
  LoaderStream stream(std::move(*link), host_->name(), interruptions());
  return copy_with(stream);
}

Result<CopyResult> BootstrapRun::copy_with(LoaderStream& stream) {
  CopyOptions options;
  options.source = source_login();
  options.pg_bin = options_.pg_bin;
  options.tablespaces = options_.preflight.tablespaces;
  Copy copy(stream, options, [this](const ProgressView& view) { show(view); });
  if (!options_.from_file.empty()) return copy.from_file(options_.from_file, *source_);
  std::optional<KeptFile> keep;
  if (!options_.to_file.empty()) {
    Result<KeptFile> file = KeptFile::create(options_.to_file);
    if (!file) return Error{file.error()};
    keep.emplace(std::move(*file));
  }
  Result<CopyResult> result = copy.from_server(*source_, keep ? &*keep : nullptr);
  if (!result || !keep) return result;
  const Result<void> kept = keep->finish();
  if (!kept) return Error{kept.error()};
  return result;
}

Result<void> BootstrapRun::verify() {
  const Result<ServerFacts> here = query_server_facts(source_login());
  if (!here) return Error{"the master: " + here.error()};
  const Result<ServerFacts> there = ask_target_facts();
  if (!there) return Error{"the target: " + there.error()};
  const std::vector<std::string> found = differences(*here, *there);
  if (found.empty()) return {};
  std::string text = "after the load the servers differ";
  for (const std::string& difference : found) text += "; " + difference;
  return Error{text};
}

Result<Epoch> BootstrapRun::join(const std::string& sha256) {
  const Result<Epoch> epoch = lease_->finish(sha256);
  if (epoch) return epoch;
  // A lost answer is not a refusal: what counts is what the pair did.
  const Result<PairView> now = find_pair(settings_.relays);
  if (now && now->active.standby_joined && now->active.role.epoch >= lease_->epoch())
    return now->active.role.epoch;
  return epoch;
}

int BootstrapRun::give_up(const std::string& why) {
  const Result<void> told = lease_->abort(why);
  std::string text = why + ". The master serves on, the standby is stale.";
  if (!told)
    text += " (The relay could not be told: " + told.error() +
            "; it gives the bootstrap up by itself within 15 s.)";
  reporter_.failed(text, "solve that and run pgtandem bootstrap again");
  return EX_TEMPFAIL;
}

}  // namespace pgtandem::bootstrap
