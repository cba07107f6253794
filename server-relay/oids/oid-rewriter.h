/// Rewrites the oids of user-defined types and functions in frontend messages on their way to the standby
/// (hard point 7): Parse's parameter types, Bind's binary parameters, FunctionCall's function and its binary
/// arguments.
///
/// One for each session, on its thread. The frontend's oids are the master's. Oids have a fixed size, so
/// lengths never change: a message that needs rewriting is copied and its oids are replaced in the copy; any
/// other is not touched.
///
/// What it cannot know it leaves as it is, and the standby's refusal is then seen as a difference: binary
/// arrays, composites and ranges as parameters whose type the frontend neither declared in Parse nor asked
/// for by Describe; types of temporary objects; oids inside the binary form of extensions' base types;
/// parameters of a statement that was prepared before the servers' oids began to differ.
#pragma once
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/base/bytes.h"
#include "server-relay/oids/oid-map.h"

namespace pgtandem {

enum class Rewriting {
  unchanged,    ///< send the message as it is
  rewritten,    ///< send the copy
  unknown_oid,  ///< nothing done: read the catalogues again (CatalogueCache::mark_dirty, get) and try once
                ///< more
};

/// What to do with an oid that the map lacks.
enum class UnknownOids {
  report,
  keep,  ///< the second try: it goes to the standby as it is
};

class StandbyRewriter {
 public:
  /// At most this many statements with parameters of interest, and this many parameters in all, are
  /// remembered; beyond, the one parsed longest ago is forgotten.
  static constexpr std::size_t kMaxStatements = 4096;
  static constexpr std::size_t kMaxParameters = 256 * 1024;

  /// Null or empty: nothing is ever rewritten. What was remembered of statements stays.
  void use(std::shared_ptr<const OidMap> map);

  /// May a message of this type need work? Only then must it be whole in memory and given to rewrite().
  bool concerns(char type) const {
    if (!active_) return false;
    return type == 'P' || type == 'F' || ((type == 'B' || type == 'C') && !statements_.empty());
  }

  /// `message`: one whole frontend message, from its type byte on. A malformed one is unchanged. Sets `out`
  /// only where it returns rewritten, and unknown() only where it returns unknown_oid.
  Rewriting rewrite(ByteSpan message, std::string& out, UnknownOids unknown = UnknownOids::report);
  Oid unknown() const { return unknown_; }

  /// The master's ParameterDescription for a Describe of `statement`: the types that the server inferred.
  void on_parameter_description(std::string_view statement, std::span<const Oid> types);

  std::size_t remembered_statements() const { return statements_.size(); }

 private:
  struct Patch {
    std::size_t at;
    Oid oid;
  };
  struct Statement {
    std::vector<Oid> types;
    std::list<std::string>::iterator place;
  };

  bool read_parse(ByteSpan message);
  bool read_bind(ByteSpan message);
  bool read_function_call(ByteSpan message);
  void read_close(ByteSpan message);
  void replace(const std::byte* where, OidKind kind, Oid oid);
  void remember(std::string_view statement, std::span<const Oid> types);
  void forget(const std::string& statement);

  std::shared_ptr<const OidMap> map_;
  bool active_ = false;
  std::unordered_map<std::string, Statement> statements_;
  std::list<std::string> by_age_;  ///< the statement remembered longest ago first
  std::size_t parameters_ = 0;
  // Of the message in hand.
  const std::byte* begin_ = nullptr;
  std::vector<Patch> patches_;
  std::vector<Oid> declared_;
  Oid unknown_ = 0;
};

/// The type oids of a whole ParameterDescription message ('t'); nothing where it is malformed.
std::optional<std::vector<Oid>> parse_parameter_description(ByteSpan message);

}  // namespace pgtandem
