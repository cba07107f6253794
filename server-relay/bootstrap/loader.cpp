#include "server-relay/bootstrap/loader.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <future>
#include <poll.h>
#include <signal.h>
#include <sysexits.h>
#include <thread>
#include <unistd.h>

#include "server-relay/bootstrap/roles-sql.h"
#include "server-relay/bootstrap/sql-text.h"
#include "server-relay/bootstrap/stop-signal.h"

namespace pgtandem::bootstrap {
namespace {

/// The sender gives a loader up that has been silent for a minute.
constexpr auto kAliveEvery = std::chrono::seconds(1);
constexpr std::size_t kReadStep = 256U << 10;
/// All of a plant's roles are some kilobytes.
constexpr std::size_t kMaxRolesText = 64U << 20;
constexpr auto kPsqlEnd = std::chrono::milliseconds(10);
constexpr int kFirstWithForce = 130000;
constexpr int kFirstWithConnectionCheck = 140000;
constexpr std::string_view kConnectTo = "template1";

ExistingGlobals existing(const ServerFacts& facts) {
  ExistingGlobals globals;
  for (const auto& [name, role] : facts.roles) {
    globals.roles.insert(name);
    if (role.expires) globals.roles_with_expiry.insert(name);
  }
  for (const MembershipFacts& m : facts.memberships)
    globals.memberships.push_back({m.role, m.member, m.grantor});
  for (const auto& [name, location] : facts.tablespaces) globals.tablespaces.insert(name);
  globals.server_version = facts.server_version;
  return globals;
}

}  // namespace

Loader::Loader(LoaderOptions options, int input, int output)
    : options_(std::move(options)), input_(input), output_(output) {
  options_.login.application_name += " " + to_hex(as_bytes(random_bytes(4)));
}

Loader::~Loader() = default;

int Loader::run() {
  Result<ServerFacts> facts = query_server_facts(options_.login);
  Result<void> outcome;
  if (facts) {
    facts_ = std::move(*facts);
    outcome = load_stream();
  } else {
    outcome = Error{facts.error()};
  }
  if (outcome) return EX_OK;
  end_backends();
  LoaderLine line;
  line.event = "failed";
  line.phase = phase_;
  line.name = database_;
  line.error = outcome.error();
  say(line);
  return damaged_ ? EX_PROTOCOL : EX_UNAVAILABLE;
}

Result<void> Loader::load_stream() {
  for (;;) {
    const Result<Frame> frame = next_frame();
    if (!frame) return Error{frame.error()};
    if (frame->type == FrameType::begin_piece) {
      const Result<PieceName> piece = decode_begin(*frame);
      if (!piece) return Error{piece.error()};
      const Result<void> loaded = load_piece(*piece);
      if (!loaded) return loaded;
    } else if (frame->type == FrameType::finish) {
      const Result<StreamEnd> end = decode_finish(*frame);
      if (!end) return Error{end.error()};
      return finish(*end);
    }
  }
}

Result<Frame> Loader::next_frame() {
  std::string buffer(kReadStep, '\0');
  for (;;) {
    Result<std::optional<Frame>> frame = reader_.next();
    if (!frame) {
      damaged_ = true;
      return Error{frame.error()};
    }
    if (*frame && (*frame)->type == FrameType::abort) {
      return Error{"the sender gave up: " + safe_excerpt((*frame)->payload)};
    }
    if (*frame) return std::move(**frame);
    const Result<short> ready = wait(input_, POLLIN);
    if (!ready) return Error{ready.error()};
    if (*ready == 0) continue;
    const ssize_t got = ::read(input_, buffer.data(), buffer.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return Error{std::string("reading the stream failed: ") + std::strerror(errno)};
    if (got == 0) {
      damaged_ = true;
      const Result<void> end = reader_.end_of_input();
      return Error{end ? "the stream is empty" : end.error()};
    }
    reader_.push(as_bytes(buffer).first(std::size_t(got)));
  }
}

Result<PieceEnd> Loader::receive_piece(PieceDecoder& decoder,
                                       const std::function<Result<void>(ByteSpan)>& use) {
  for (;;) {
    Result<Frame> frame = next_frame();
    if (!frame) return Error{frame.error()};
    if (frame->type == FrameType::end_piece) return decode_end(*frame);
    decoder.push(std::move(frame->payload));
    for (;;) {
      const Result<ByteSpan> chunk = decoder.next_chunk();
      if (!chunk) {
        damaged_ = true;
        return Error{chunk.error()};
      }
      if (chunk->empty()) break;
      const Result<void> used = use(*chunk);
      if (!used) return Error{used.error()};
      bytes_ += chunk->size();
    }
  }
}

Result<void> Loader::load_piece(const PieceName& piece) {
  PieceDecoder decoder;
  std::string roles_text;
  std::optional<ChildProcess> psql;
  phase_ = piece.kind == PieceKind::roles ? "roles" : "load";
  database_ = piece.name;
  bytes_ = 0;
  if (piece.kind == PieceKind::database) {
    const Result<void> dropped = drop_database(piece.name);
    if (!dropped) return dropped;
    Result<ChildProcess> started = start_psql();
    if (!started) return Error{started.error()};
    psql.emplace(std::move(*started));
    databases_.insert(piece.name);
  }
  const Result<PieceEnd> end = receive_piece(decoder, [&](ByteSpan chunk) -> Result<void> {
    if (psql) return feed(*psql, chunk);
    if (roles_text.size() + chunk.size() > kMaxRolesText)
      return Error{"the roles of the stream take too much room"};
    roles_text.append(as_text(chunk));
    return {};
  });
  const Secret roles = Secret::take(roles_text);
  if (!end) return Error{end.error()};
  const Result<Sha256Digest> digest = decoder.finish(end->size, end->digest);
  if (!digest) {
    damaged_ = true;
    return Error{digest.error()};
  }
  const Result<void> done = psql ? finish_psql(*psql) : load_roles(roles);
  if (!done) return done;
  return piece_loaded(piece, *end);
}

Result<void> Loader::piece_loaded(const PieceName& piece, const PieceEnd& end) {
  ++pieces_;
  all_digests_.add(end.digest);
  LoaderLine line;
  line.event = "piece";
  line.name = piece.name;
  line.bytes = end.size;
  line.sha256 = to_hex(end.digest);
  say(line);
  return {};
}

Result<void> Loader::load_roles(const Secret& dump) {
  const GlobalsScript script = transform_globals(dump.reveal(), existing(facts_), options_.tablespaces);
  roles_ = script.roles;
  std::vector<std::string> statements = {"SET log_statement = none", "SET log_min_duration_statement = -1",
                                         "SET log_min_error_statement = panic", "BEGIN"};
  statements.insert(statements.end(), script.roles_sql.begin(), script.roles_sql.end());
  statements.emplace_back("COMMIT");
  Result<void> done = execute(std::string(kConnectTo), statements);
  if (done) done = execute(std::string(kConnectTo), script.tablespaces_sql);
  if (!done) return Error{"the roles could not be loaded: " + done.error()};
  // The service user's own password may just have become another one.
  const Result<PgSession> still = PgSession::open(options_.login, kConnectTo);
  if (still) return {};
  return Error{still.error() +
               "; the service user now has the master's password here: copy the master's passfile"};
}

Result<void> Loader::drop_database(const std::string& name) {
  const DatabaseFacts* old = facts_.find(name);
  if (old == nullptr) return {};
  if (old->objects() != 0 && !options_.replace) {
    return Error{"database '" + name +
                 "' exists on the target and is not empty; give --replace to replace it"};
  }
  const std::string quoted = quote_identifier(name);
  std::vector<std::string> statements;
  if (old->is_template) statements.push_back("ALTER DATABASE " + quoted + " IS_TEMPLATE false");
  if (facts_.server_version >= kFirstWithForce) {
    statements.push_back("DROP DATABASE " + quoted + " WITH (FORCE)");
  } else {
    statements.push_back("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = " +
                         quote_literal(name));
    statements.push_back("DROP DATABASE " + quoted);
  }
  const Result<void> done = execute(std::string(kConnectTo), statements);
  if (!done) return Error{"database '" + name + "' of the target cannot be dropped: " + done.error()};
  return {};
}

Result<void> Loader::drop_what_is_not_in_the_stream() {
  phase_ = "drop";
  for (const DatabaseFacts& database : facts_.databases) {
    if (database.name == kConnectTo || databases_.contains(database.name)) continue;
    const Result<void> dropped = options_.replace ? drop_database(database.name) : Result<void>(Error{""});
    if (!dropped) left_.push_back("database " + database.name);
  }
  for (const auto& [name, role] : facts_.roles) {
    if (roles_.contains(name) || name == options_.login.user) continue;
    const bool may = options_.replace && !role.bootstrap;
    const Result<void> dropped =
        may ? execute(std::string(kConnectTo), {"DROP ROLE " + quote_identifier(name)})
            : Result<void>(Error{""});
    if (!dropped) left_.push_back("role " + name);
  }
  return wait(-1, 0) ? Result<void>() : Result<void>(Error{"interrupted"});
}

Result<void> Loader::analyze() {
  phase_ = "analyze";
  for (const std::string& database : databases_) {
    database_ = database;
    const Result<PgSession> reachable = PgSession::open(options_.login, database);
    // A database with CONNECTION LIMIT or ALLOW_CONNECTIONS false of its own is as it is on the master.
    if (!reachable) continue;
    const Result<void> done = execute(database, {"ANALYZE"});
    if (!done) return Error{"ANALYZE in database '" + database + "' failed: " + done.error()};
  }
  database_.clear();
  // What was loaded with synchronous_commit off is on disk before the standby joins.
  return execute(std::string(kConnectTo), {"CHECKPOINT"});
}

Result<void> Loader::finish(const StreamEnd& end) {
  const Sha256Digest digest = all_digests_.finish();
  if (end.pieces != pieces_ || end.digest != digest) {
    damaged_ = true;
    return Error{"the stream is damaged: its last frame names other pieces than arrived"};
  }
  Result<void> done = drop_what_is_not_in_the_stream();
  if (done) done = analyze();
  if (!done) return done;
  LoaderLine line;
  line.event = "done";
  line.pieces = pieces_;
  line.sha256 = to_hex(digest);
  line.left = left_;
  say(line);
  return {};
}

Result<ChildProcess> Loader::start_psql() {
  std::string options = "-c synchronous_commit=off";
  // A psql that is gone must not leave an index build running.
  if (facts_.server_version >= kFirstWithConnectionCheck)
    options += " -c client_connection_check_interval=2s";
  ChildOptions child;
  child.argv = {program_path(options_.pg_bin, "psql"),
                "--no-psqlrc",
                "--quiet",
                "--no-password",
                "--set=ON_ERROR_STOP=1",
                "--set=VERBOSITY=terse",
                "--dbname=" + conninfo_for_database(kConnectTo)};
  child.environment = child_environment(pg_environment(options_.login, options));
  child.pipe_stdin = true;
  return ChildProcess::start(child);
}

Error Loader::psql_failed(ChildProcess& psql) {
  psql.close_stdin();
  const ChildExit exit = psql.wait(ChildProcess::kGrace);
  const std::string text = psql.error_text();
  return Error{"loading database '" + database_ + "' failed: psql ended with " + exit.text() +
               (text.empty() ? "" : ": " + text)};
}

Result<void> Loader::feed(ChildProcess& psql, ByteSpan bytes) {
  while (!bytes.empty()) {
    const Result<short> ready = wait(psql.stdin_fd(), POLLOUT);
    if (!ready) return Error{ready.error()};
    psql.drain_stderr();
    if ((*ready & (POLLERR | POLLHUP)) != 0) return psql_failed(psql);
    if (*ready == 0) continue;
    const Result<std::size_t> written = psql.write_stdin(bytes);
    if (!written) return psql_failed(psql);
    bytes = bytes.subspan(*written);
  }
  return {};
}

Result<void> Loader::finish_psql(ChildProcess& psql) {
  psql.close_stdin();
  while (!psql.try_wait()) {
    const Result<short> alive = wait(psql.stderr_fd(), POLLIN);
    if (!alive) return Error{alive.error()};
    psql.drain_stderr();
    // The end of its standard error comes just before its own.
    if (psql.stderr_fd() < 0) std::this_thread::sleep_for(kPsqlEnd);
  }
  if (!psql.wait(ChildProcess::kGrace).ok()) return psql_failed(psql);
  return {};
}

Result<void> Loader::execute(const std::string& database, const std::vector<std::string>& statements) {
  if (statements.empty()) return {};
  auto work = std::async(std::launch::async, [&]() -> Result<void> {
    Result<PgSession> session = PgSession::open(options_.login, database);
    if (!session) return Error{session.error()};
    const auto unlimited = session->query("SET statement_timeout = 0");
    if (!unlimited) return Error{unlimited.error()};
    for (const std::string& statement : statements) {
      const auto rows = session->query(statement);
      if (!rows) return Error{rows.error()};
    }
    return {};
  });
  Result<void> caller;
  while (work.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready) {
    if (!caller.ok()) continue;
    const Result<short> alive = wait(-1, 0);
    if (alive) continue;
    caller = Error{alive.error()};
    end_backends();
  }
  const Result<void> done = work.get();
  return caller ? done : caller;
}

Result<short> Loader::wait(int fd, short events) {
  if (Clock::now() - said_alive_ >= kAliveEvery) say_alive();
  if (stop_requested()) return Error{"interrupted by a signal"};
  // Without POLLIN: input that waits behind slow work is no event, the end of the connection is.
  pollfd fds[3] = {{fd, events, 0}, {options_.attached ? input_ : -1, POLLRDHUP, 0}, {stop_fd(), POLLIN, 0}};
  const int limit = fd < 0 ? 0 : int(std::chrono::milliseconds(kAliveEvery).count());
  const int ready = ::poll(fds, 3, limit);
  if (ready < 0 && errno != EINTR) return Error{std::string("poll failed: ") + std::strerror(errno)};
  if (ready <= 0) return short(0);
  if ((fds[1].revents & (POLLHUP | POLLRDHUP | POLLERR)) != 0) {
    damaged_ = true;
    return Error{"the connection to the sender was lost in mid-stream"};
  }
  if (fds[2].revents != 0) return Error{"interrupted by a signal"};
  return fds[0].revents;
}

void Loader::say(const LoaderLine& line) {
  const std::string text = to_json(line) + "\n";
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t written = ::write(output_, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    // Nobody reads any more: the end of our input says so in a moment.
    if (written <= 0) return;
    done += std::size_t(written);
  }
}

void Loader::say_alive() {
  said_alive_ = Clock::now();
  LoaderLine line;
  line.event = "alive";
  line.phase = phase_;
  line.name = database_;
  line.bytes = bytes_;
  say(line);
}

void Loader::end_backends() {
  PgLogin other = options_.login;
  other.application_name = kApplicationName;
  Result<PgSession> session = PgSession::open(other, kConnectTo);
  if (!session) return;
  const auto ended = session->query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND pid <> "
      "pg_backend_pid()",
      {options_.login.application_name});
  (void)ended;
}

}  // namespace pgtandem::bootstrap
