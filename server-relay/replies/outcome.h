/// What one leg answered, reduced to what is compared (hard points 1 and 2): one outcome for each message
/// that ends something, with digests of the rows and columns that came before it. Fixed size: no reply,
/// however large, costs more than this.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace pgtandem {

/// Whether a command that gave this tag may have written (in `classic` the tag is all that is known).
enum class TagClass : std::uint8_t {
  read,      ///< SELECT, SHOW, EXPLAIN, FETCH, MOVE, COPY TO
  begin,     ///< BEGIN, START TRANSACTION
  commit,    ///< COMMIT, PREPARE TRANSACTION, COMMIT PREPARED
  rollback,  ///< ROLLBACK, ROLLBACK PREPARED
  other,     ///< everything else: may have written
};

/// `copied_out`: a CopyOutResponse came before the tag (the tag of COPY TO and COPY FROM is the same).
TagClass classify_tag(std::string_view tag, bool copied_out);
/// The number at the end of a tag ("SELECT 5"), or 0.
std::uint64_t tag_count(std::string_view tag);

/// A short text kept inline, cut where it does not fit.
template <std::size_t Size>
class ShortText {
 public:
  void assign(std::string_view text) {
    size_ = std::uint8_t(text.size() < Size ? text.size() : Size);
    for (std::size_t i = 0; i < size_; ++i) data_[i] = text[i];
  }
  std::string_view view() const { return {data_.data(), size_}; }
  friend bool operator==(const ShortText& a, const ShortText& b) { return a.view() == b.view(); }

 private:
  std::array<char, Size> data_{};
  std::uint8_t size_ = 0;
};

struct Outcome {
  enum class Kind : std::uint8_t {
    complete,         ///< CommandComplete
    empty_query,      ///< EmptyQueryResponse
    suspended,        ///< PortalSuspended
    function_result,  ///< FunctionCallResponse
    error,            ///< ErrorResponse
    copy_in,          ///< CopyInResponse, CopyBothResponse: the backend waits for the frontend
    ready,            ///< ReadyForQuery: the unit's last
  };
  Kind kind = Kind::ready;
  TagClass tag_class = TagClass::other;
  char status = 0;               ///< of ready: I, T or E
  bool fatal = false;            ///< of error: FATAL or PANIC, the backend is going away
  bool lock_timeout = false;     ///< of error: lock_timeout ran out (not NOWAIT, whose SQLSTATE is the same)
  ShortText<5> sqlstate;         ///< of error
  ShortText<47> text;            ///< the tag, or the beginning of the error's message (for the log only)
  std::uint64_t rows = 0;        ///< DataRow and CopyData messages since the outcome before
  std::uint64_t row_digest = 0;  ///< over their bodies
  std::uint64_t column_digest = 0;  ///< over the names and types of RowDescription, 0 if there was none

  /// A tag that says SELECT without having sent those rows: CREATE TABLE AS and SELECT INTO, which write.
  bool wrote_what_it_selected() const;
  /// For the divergence log: "UPDATE 3", "ERROR 23505 ...", "ready T", with the number of rows.
  std::string describe() const;
};

}  // namespace pgtandem
