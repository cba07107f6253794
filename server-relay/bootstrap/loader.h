/// The receiving side: reads the stream (frames.h) from standard input, checks it, and loads it into its own
/// postmaster through psql (databases) and libpq (roles). Says what it does on standard output
/// (loader-lines.h).
///
/// It gives up, and ends psql and its backends, as soon as its input ends early, a byte is wrong, psql fails,
/// or (when attached) its caller goes away. One thread, but for waiting on slow statements.
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/secret.h"
#include "server-relay/bootstrap/child-process.h"
#include "server-relay/bootstrap/facts.h"
#include "server-relay/bootstrap/frames.h"
#include "server-relay/bootstrap/loader-lines.h"
#include "server-relay/bootstrap/piece-codec.h"

namespace pgtandem::bootstrap {

/// The database from which the loader works: the one that nobody drops.
inline constexpr std::string_view kLoaderDatabase = "template1";

struct LoaderOptions {
  PgLogin login;
  std::string pg_bin;  ///< folder of psql; empty: PATH
  bool replace =
      false;  ///< databases with content are replaced, roles and databases not in the stream dropped
  bool tablespaces = true;  ///< false: everything goes to the default tablespace
  bool attached =
      false;  ///< the caller keeps our input open until "done": its end means that the caller is gone
};

class Loader {
 public:
  /// Reads from `input`, writes to `output`; owns neither.
  Loader(LoaderOptions options, int input, int output);
  ~Loader();

  /// An exit status of sysexits; the failure was said as a line.
  int run();

 private:
  using Clock = std::chrono::steady_clock;

  Result<void> load_stream();
  Result<void> load_piece(const PieceName& piece);
  Result<void> load_roles(const Secret& dump);
  Result<void> drop_database(const std::string& name);
  Result<void> drop_what_is_not_in_the_stream();
  Result<void> analyze();
  Result<void> finish(const StreamEnd& end);

  /// The next frame; waits for input.
  Result<Frame> next_frame();
  Result<PieceEnd> receive_piece(PieceDecoder& decoder, const std::function<Result<void>(ByteSpan)>& use);
  Result<void> piece_loaded(const PieceName& piece, const PieceEnd& end);
  Result<ChildProcess> start_psql();
  Result<void> feed(ChildProcess& psql, ByteSpan bytes);
  Result<void> finish_psql(ChildProcess& psql);
  Error psql_failed(ChildProcess& psql);
  /// Runs statements one by one on a connection of their own while saying that we live.
  Result<void> execute(const std::string& database, const std::vector<std::string>& statements);
  /// Waits for `events` of `fd` (-1: nothing) for at most a second; says that we live; notices a caller that
  /// is gone.
  Result<short> wait(int fd, short events);
  void say(const LoaderLine& line);
  void say_alive();
  /// Ends what psql has left running, and gives the server its maintenance database back if that is gone:
  /// without it the relay cannot log in, and no bootstrap can begin. Best effort.
  void clean_up();
  void end_backends();

  LoaderOptions options_;
  int input_;
  int output_;
  ServerFacts facts_;  ///< as the server was before
  FrameReader reader_;
  std::string phase_ = "start";
  std::string database_;
  std::uint64_t bytes_ = 0;
  std::uint32_t pieces_ = 0;
  Sha256Stream all_digests_;
  std::set<std::string> roles_;      ///< of the stream
  std::set<std::string> databases_;  ///< of the stream
  std::vector<std::string> left_;
  Clock::time_point said_alive_{};
  bool damaged_ = false;
};

}  // namespace pgtandem::bootstrap
