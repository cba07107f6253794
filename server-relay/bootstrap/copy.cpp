#include "server-relay/bootstrap/copy.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include <nlohmann/json.hpp>

namespace pgtandem::bootstrap {
namespace {

constexpr std::size_t kReadStep = 256U << 10;

}  // namespace

std::string hello_json(const ServerFacts& facts) {
  const nlohmann::json json = {{"tool", facts.tool_version},
                               {"server_version", facts.server_version},
                               {"system_identifier", facts.system_identifier},
                               {"next_transaction", facts.next_transaction}};
  return json.dump();
}

Result<void> check_hello(std::string_view text, const ServerFacts& facts) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return Error{"the file's head is not readable"};
  if (json.value("system_identifier", "") != facts.system_identifier) {
    return Error{"the file was dumped from another server than the master; dump anew, without --from-file"};
  }
  if (json.value("next_transaction", "") != facts.next_transaction) {
    return Error{"the master has written since the file was dumped; dump anew, without --from-file"};
  }
  return {};
}

Copy::Copy(LoaderStream& stream, CopyOptions options, std::function<void(const ProgressView&)> on_progress)
    : stream_(stream), options_(std::move(options)), on_progress_(std::move(on_progress)) {}

Copy::~Copy() = default;

std::vector<std::string> Copy::dump_command(const DatabaseFacts& database) const {
  // Without --clean: the loader drops what it was allowed to drop, and the dump itself can destroy nothing.
  std::vector<std::string> command = {program_path(options_.pg_bin, "pg_dump"),
                                      "--create",
                                      "--quote-all-identifiers",
                                      "--no-sync",
                                      "--no-password",
                                      "--no-subscriptions",
                                      "--lock-wait-timeout=60000",
                                      "--dbname=" + conninfo_for_database(database.name)};
  if (!options_.tablespaces) command.emplace_back("--no-tablespaces");
  return command;
}

Result<CopyResult> Copy::from_server(const ServerFacts& facts, KeptFile* keep) {
  keep_ = keep;
  std::uint64_t expected = 0;
  for (const DatabaseFacts& database : facts.databases) expected += database.table_bytes;
  meter_.emplace(expected);
  std::string head;
  writer_.hello(head, hello_json(facts));
  Result<void> sent = put(head);
  if (!sent) return Error{sent.error()};
  show("roles", "");
  sent = send_piece({PieceKind::roles, ""},
                    {program_path(options_.pg_bin, "pg_dumpall"), "--globals-only", "--quote-all-identifiers",
                     "--no-sync", "--no-password", "--database=template1"});
  for (const DatabaseFacts& database : facts.databases) {
    if (!sent) return Error{sent.error()};
    if (database.name == "template1" || !database.allows_connections) continue;
    show("copy", database.name);
    sent = send_piece({PieceKind::database, database.name}, dump_command(database));
    meter_->database_done(database.table_bytes);
  }
  if (sent) sent = send_finish();
  if (!sent) return Error{sent.error()};
  return await_done();
}

Result<void> Copy::send_piece(const PieceName& piece, const std::vector<std::string>& command) {
  std::string frames;
  writer_.begin_piece(frames, piece);
  Result<void> done = put(frames);
  if (!done) return done;
  PieceEncoder encoder;
  {
    ChildOptions options;
    options.argv = command;
    options.environment = child_environment(pg_environment(options_.source));
    options.pipe_stdout = true;
    Result<ChildProcess> child = ChildProcess::start(options);
    if (!child) return Error{child.error()};
    done = pump_child(*child, encoder);
    if (!done) return done;
  }
  std::string rest;
  encoder.finish(rest);
  frames.clear();
  writer_.data(frames, as_bytes(rest));
  const PieceEnd end{encoder.raw_bytes(), encoder.digest()};
  writer_.end_piece(frames, end);
  done = put(frames);
  if (!done) return done;
  return piece_arrived(end, piece.name);
}

Result<void> Copy::pump_child(ChildProcess& child, PieceEncoder& encoder) {
  std::string raw;
  std::string deflated;
  std::string frames;
  for (bool open = true; open;) {
    std::vector<pollfd> fds = {{child.stderr_fd(), POLLIN, 0}};
    if (!stream_.full()) fds.push_back({child.stdout_fd(), POLLIN, 0});
    const Result<void> turned = turn(std::move(fds));
    if (!turned) return turned;
    child.drain_stderr();
    if (stream_.full()) continue;
    raw.clear();
    open = child.read_stdout(raw, kReadStep);
    encoder.add(as_bytes(raw), deflated);
    bytes_ += raw.size();
    frames.clear();
    writer_.data(frames, as_bytes(deflated));
    meter_->add(raw.size(), frames.size(), std::chrono::steady_clock::now());
    deflated.clear();
    const Result<void> sent = put(frames);
    if (!sent) return sent;
  }
  const ChildExit exit = child.wait(std::chrono::seconds(10));
  if (exit.ok()) return {};
  return Error{child.name() + (database_.empty() ? "" : " of database '" + database_ + "'") + " ended with " +
               exit.text() + ": " + child.error_text()};
}

Result<void> Copy::put(std::string_view frames) {
  if (keep_ != nullptr) {
    const Result<void> kept = keep_->write(frames);
    if (!kept) return kept;
  }
  wire_bytes_ += frames.size();
  stream_.send(frames);
  return {};
}

/// Waits until the loader has this piece, and compares what it says with what was sent.
Result<void> Copy::piece_arrived(const PieceEnd& end, const std::string& name) {
  ++pieces_;
  all_digests_.add(end.digest);
  while (stream_.pieces().size() < pieces_) {
    const Result<void> turned = turn();
    if (!turned) return turned;
  }
  const LoaderLine& line = stream_.pieces()[pieces_ - 1];
  if (line.bytes == end.size && line.sha256 == to_hex(end.digest)) return {};
  return Error{"the loader reports another SHA-256 for " +
               (name.empty() ? "the roles" : "database '" + name + "'") + " than was sent"};
}

Result<void> Copy::send_finish() {
  digest_ = all_digests_.finish();
  std::string frames;
  writer_.finish(frames, {pieces_, *digest_});
  return put(frames);
}

Result<CopyResult> Copy::await_done() {
  if (meter_) meter_->all_sent();
  while (!stream_.done()) {
    const LoaderLine& alive = stream_.alive();
    show(alive.phase.empty() ? "load" : alive.phase, alive.name);
    const Result<void> turned = turn();
    if (!turned) return Error{turned.error()};
  }
  const LoaderLine& done = *stream_.done();
  if (done.pieces != pieces_ || done.sha256 != to_hex(*digest_)) {
    return Error{"the loader reports another SHA-256 for the whole stream than was sent"};
  }
  return CopyResult{pieces_, bytes_, wire_bytes_, done.sha256, done.left};
}

Result<CopyResult> Copy::from_file(const std::string& path, const ServerFacts& facts) {
  meter_.emplace(0);
  const Result<void> sent = send_file(path, facts);
  if (!sent) return Error{sent.error()};
  return await_done();
}

Result<void> Copy::send_file(const std::string& path, const ServerFacts& facts) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{"cannot read " + path + ": " + std::strerror(errno)};
  FrameReader reader;
  std::string buffer(kReadStep, '\0');
  show("copy", "");
  while (in) {
    in.read(buffer.data(), std::streamsize(buffer.size()));
    const std::string_view bytes(buffer.data(), std::size_t(in.gcount()));
    reader.push(as_bytes(bytes));
    for (;;) {
      const Result<std::optional<Frame>> frame = reader.next();
      if (!frame) return Error{path + ": " + frame.error()};
      if (!*frame) break;
      const Result<void> checked = check_frame(**frame, facts);
      if (!checked) return Error{path + ": " + checked.error()};
    }
    // Only what was checked is sent, but for the frame that the buffer cuts: the loader checks that one
    // itself.
    const Result<void> sent = put(bytes);
    if (!sent) return sent;
    meter_->add(0, bytes.size(), std::chrono::steady_clock::now());
    do {
      const Result<void> turned = turn();
      if (!turned) return turned;
    } while (stream_.full());
  }
  const Result<void> end = reader.end_of_input();
  if (!end) return Error{path + ": " + end.error()};
  return {};
}

Result<void> Copy::check_frame(const Frame& frame, const ServerFacts& facts) {
  if (frame.type == FrameType::hello) return check_hello(frame.payload, facts);
  if (frame.type == FrameType::end_piece) {
    const Result<PieceEnd> end = decode_end(frame);
    if (!end) return Error{end.error()};
    ++pieces_;
    bytes_ += end->size;
    meter_->add(end->size, 0, std::chrono::steady_clock::now());
  }
  if (frame.type == FrameType::finish) {
    const Result<StreamEnd> end = decode_finish(frame);
    if (!end) return Error{end.error()};
    digest_ = end->digest;
  }
  return {};
}

Result<void> Copy::turn(std::vector<pollfd> also) {
  const Result<void> turned = stream_.turn(std::move(also));
  show(phase_, database_);
  return turned;
}

void Copy::show(const std::string& phase, const std::string& database) {
  phase_ = phase;
  database_ = database;
  ProgressView view;
  if (meter_) view = meter_->view(std::chrono::steady_clock::now());
  view.phase = phase;
  view.database = database;
  on_progress_(view);
}

}  // namespace pgtandem::bootstrap
