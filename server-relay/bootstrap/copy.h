/// The copy itself on the sending side: pg_dumpall and pg_dump, one database after the other, compressed into
/// frames and sent to a loader; or a file that an earlier copy kept. Never a whole dump in memory or on disk.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "server-relay/bootstrap/child-process.h"
#include "server-relay/bootstrap/facts.h"
#include "server-relay/bootstrap/frames.h"
#include "server-relay/bootstrap/kept-file.h"
#include "server-relay/bootstrap/loader-stream.h"
#include "server-relay/bootstrap/piece-codec.h"
#include "server-relay/bootstrap/progress.h"

namespace pgtandem::bootstrap {

struct CopyOptions {
  PgLogin source;
  std::string pg_bin;  ///< folder of pg_dump and pg_dumpall
  bool tablespaces = true;
};

struct CopyResult {
  std::uint32_t pieces = 0;
  std::uint64_t bytes = 0;        ///< of dump text
  std::uint64_t wire_bytes = 0;   ///< of the stream
  std::string sha256;             ///< over the pieces' digests, the same on both sides
  std::vector<std::string> left;  ///< roles and databases that exist only on the target
};

/// Used by one thread, once. `on_progress` is called several times a second.
class Copy {
 public:
  Copy(LoaderStream& stream, CopyOptions options, std::function<void(const ProgressView&)> on_progress);
  ~Copy();

  /// Dumps and sends all databases of `facts` that allow connections. `keep`: gets the same bytes.
  Result<CopyResult> from_server(const ServerFacts& facts, KeptFile* keep);
  /// Sends a kept file, checking it on the way. Refuses one that was taken from another server or before its
  /// last write.
  Result<CopyResult> from_file(const std::string& path, const ServerFacts& facts);

 private:
  Result<void> send_piece(const PieceName& piece, const std::vector<std::string>& command);
  Result<void> pump_child(ChildProcess& child, PieceEncoder& encoder);
  Result<void> send_file(const std::string& path, const ServerFacts& facts);
  Result<void> check_frame(const Frame& frame, const ServerFacts& facts);
  Result<void> put(std::string_view frames);
  Result<void> piece_arrived(const PieceEnd& end, const std::string& name);
  Result<void> send_finish();
  Result<CopyResult> await_done();
  Result<void> turn(std::vector<pollfd> also = {});
  std::vector<std::string> dump_command(const DatabaseFacts& database) const;
  void show(const std::string& phase, const std::string& database);

  LoaderStream& stream_;
  CopyOptions options_;
  std::function<void(const ProgressView&)> on_progress_;
  FrameWriter writer_;
  KeptFile* keep_ = nullptr;
  std::optional<ProgressMeter> meter_;
  Sha256Stream all_digests_;
  std::optional<Sha256Digest> digest_;
  std::uint32_t pieces_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t wire_bytes_ = 0;
  std::string phase_;
  std::string database_;
};

/// The hello frame's JSON, and what of it decides whether a kept file still is the state of the server.
std::string hello_json(const ServerFacts& facts);
Result<void> check_hello(std::string_view json, const ServerFacts& facts);

}  // namespace pgtandem::bootstrap
