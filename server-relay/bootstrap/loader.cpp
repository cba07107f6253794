#include "server-relay/bootstrap/loader.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <signal.h>
#include <sysexits.h>
#include <thread>
#include <unistd.h>

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
constexpr int kFirstWithConnectionCheck = 140000;

Result<void> keep_roles(std::string& text, ByteSpan chunk) {
  if (text.size() + chunk.size() > kMaxRolesText) return Error{"the roles of the stream take too much room"};
  text.append(as_text(chunk));
  return {};
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
  clean_up();
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
    Result<ChildProcess> started = start_psql();
    if (!started) return Error{started.error()};
    psql.emplace(std::move(*started));
  }
  const Result<PieceEnd> end = receive_piece(decoder, [&](ByteSpan chunk) -> Result<void> {
    if (!psql) return keep_roles(roles_text, chunk);
    if (databases_.insert(piece.name).second) {
      // Only now, with the dump's CREATE DATABASE in hand: the database is missing for a moment, not for as
      // long as the sender takes.
      const Result<void> dropped = drop_database(piece.name);
      if (!dropped) return dropped;
    }
    return feed(*psql, chunk);
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
                "--dbname=" + conninfo_for_database(kLoaderDatabase)};
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

}  // namespace pgtandem::bootstrap
