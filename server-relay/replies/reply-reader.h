/// Reads one leg's replies and reduces them to outcomes. Pure; sees every piece of every message once, keeps
/// no row.
#pragma once
#include <memory>
#include <optional>

#include "common/protocol/message-splitter.h"
#include "server-relay/replies/outcome.h"
#include "server-relay/replies/reply-progress.h"

struct XXH3_state_s;

namespace pgtandem {

/// Makes the replies of two servers comparable whose user-defined types have different oids (hard point 7).
class ReplyMapper {
 public:
  /// Larger rows are digested as they are, on both legs alike.
  static constexpr std::size_t kMappedRowLimit = 16U << 10;

  virtual ~ReplyMapper() = default;
  virtual std::uint32_t type_oid(std::uint32_t oid) const = 0;
  virtual std::uint64_t row_digest(ByteSpan data_row_body) const = 0;
};

/// Oids below this belong to PostgreSQL itself and are the same everywhere (FirstNormalObjectId).
inline constexpr std::uint32_t kFirstUserOid = 16384;

/// The fields of an ErrorResponse, whatever the pieces it arrives in (PostgreSQL manual, "Error and Notice
/// Message Fields"). Keeps the SQLSTATE, the severity and the beginning of the message.
class ErrorFields {
 public:
  void start();
  void add(ByteSpan piece);
  bool fatal() const { return fatal_; }
  std::string_view sqlstate() const { return {sqlstate_.data(), sqlstate_size_}; }
  std::string_view message() const { return {message_.data(), message_size_}; }
  /// The source routine that raised it; never translated.
  std::string_view routine() const { return {routine_.data(), routine_size_}; }

 private:
  void add_to_field(char c);

  char field_ = 0;  ///< the field that is being read; 0: its code comes next
  std::size_t place_ = 0;
  bool fatal_ = false;
  std::array<char, 5> sqlstate_{};
  std::size_t sqlstate_size_ = 0;
  std::array<char, 47> message_{};
  std::size_t message_size_ = 0;
  std::array<char, 20> routine_{};
  std::size_t routine_size_ = 0;
};

/// A digest of a RowDescription's names and types, whatever the pieces it arrives in. Table oids, attribute
/// numbers and formats are left out: they may differ on equal servers.
class ColumnDigest {
 public:
  void start();
  void add(ByteSpan piece, const ReplyMapper* mapper);
  std::uint64_t value() const { return digest_; }

 private:
  void mix(std::uint64_t value);

  static constexpr std::size_t kFixedPart = 18;  ///< table, attribute, type, size, modifier, format
  std::size_t skip_ = 0;                         ///< bytes of the column count still to come
  std::size_t fixed_ = 0;                        ///< bytes of the fixed part that have come
  bool in_name_ = true;
  std::uint32_t type_ = 0;
  std::uint64_t digest_ = 0;
};

class ReplyReader {
 public:
  explicit ReplyReader(bool ordered_rows) : ordered_rows_(ordered_rows) {}
  ~ReplyReader();
  ReplyReader(ReplyReader&&) noexcept;
  ReplyReader& operator=(ReplyReader&&) noexcept;

  /// Used from the next unit on; may be null. Owned by the caller.
  void set_mapper(const ReplyMapper* mapper) { mapper_ = mapper; }
  /// The outcome that this piece completes, if it does.
  std::optional<Outcome> on_piece(const MessagePiece& piece);

  /// The place behind the last whole message. A FATAL ends the connection, not a command: it does not count.
  const ReplyProgress& progress() const { return progress_; }
  /// For a reader that begins in the middle.
  void set_progress(const ReplyProgress& progress) { progress_ = progress; }

  /// A message of which some pieces have come.
  struct Unfinished {
    char type = 0;
    std::uint32_t body_size = 0;  ///< of the whole
    std::uint32_t here = 0;       ///< bytes of the body that have come
    std::uint64_t digest = 0;     ///< of these, for rows and COPY data
  };
  std::optional<Unfinished> unfinished() const;

 private:
  std::optional<Outcome> read(const MessagePiece& piece);
  void add_row_piece(const MessagePiece& piece);
  void add_row(std::uint64_t digest);
  std::optional<Outcome> finish(Outcome::Kind kind, const MessagePiece& piece);

  bool ordered_rows_;
  bool copied_out_ = false;
  const ReplyMapper* mapper_ = nullptr;
  std::uint64_t rows_ = 0;
  std::uint64_t row_digest_ = 0;
  std::uint64_t column_digest_ = 0;
  ReplyProgress progress_;
  Unfinished unfinished_;  ///< body_size 0: there is none
  ErrorFields error_;
  ColumnDigest columns_;
  struct FreeState {
    void operator()(XXH3_state_s* state) const;
  };
  std::unique_ptr<XXH3_state_s, FreeState> large_row_;  ///< only while a row arrives in pieces
};

}  // namespace pgtandem
