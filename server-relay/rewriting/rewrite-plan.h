/// How one text is rewritten, without the values: those are asked of the master for each execution. A plan is
/// immutable and may be kept for its text, as long as the catalogue and the settings it was made with hold.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "server-relay/rewriting/position-map.h"
#include "server-relay/rewriting/source.h"

namespace pgtandem {

/// One for each expression, as the master gave it; nothing stands for NULL.
using RewriteValues = std::span<const std::optional<std::string>>;

struct RewrittenText {
  std::string text;
  PositionMap positions;
};

class RewritePlan {
 public:
  /// Nothing is replaced.
  RewritePlan() = default;
  /// The replacements are in the order of the text and do not overlap. `highest_parameter` is that of the
  /// text's $n.
  RewritePlan(std::string_view text, const std::vector<Replacement>& replacements, unsigned highest_parameter,
              CharacterWidth width);

  /// The plan of a text with other whole numbers and nothing else changed (generalise_numbers()), if they do
  /// not stand in what is replaced. Nothing where it cannot be told.
  std::optional<RewritePlan> with_numbers_of(std::string_view text) const;
  friend bool operator==(const RewritePlan&, const RewritePlan&) = default;

  /// The text stays as it is.
  bool empty() const { return pieces_.empty(); }
  /// To be evaluated on the master alone, in the session and transaction in which the text will run, once for
  /// each execution: `evaluation()`. May be empty though the text is rewritten: then no values are needed.
  const std::vector<std::string>& expressions() const { return expressions_; }
  /// SELECT of all expressions, as one row; empty if there are none.
  std::string evaluation() const;
  /// What stays different on the two servers, each once, by the words of Statement::flags; "column default"
  /// and "password" too. For the log.
  const std::vector<std::string>& not_rewritten() const { return not_rewritten_; }
  void set_not_rewritten(std::vector<std::string> words) { not_rewritten_ = std::move(words); }
  /// False for a text with a password: its verifier has a salt of its own each time.
  bool may_be_kept() const { return may_be_kept_; }
  void forbid_keeping() { may_be_kept_ = false; }

  /// The text with constants, quoted for every setting of the session. Fails if there are not as many values
  /// as expressions.
  Result<RewrittenText> text(RewriteValues values) const;

  /// Types of the parameters that parameter_text adds, one for each expression.
  const std::vector<std::uint32_t>& parameter_types() const { return parameter_types_; }
  /// Parameters of the original text, of which its Parse message declares so many: the added ones follow.
  unsigned original_parameters(unsigned declared) const;
  /// The text with parameters $n, n from `original_parameters` + 1 on, for the extended protocol.
  RewrittenText parameter_text(unsigned original_parameters) const;

 private:
  struct Part {
    std::string text;
    std::optional<std::size_t> source;  ///< behind it: index of the expression
    friend bool operator==(const Part&, const Part&) = default;
  };
  /// A stretch of the text that stays, and what stands for the stretch behind it.
  struct Piece {
    std::string kept;
    std::vector<Part> parts;
    std::string original;
    std::size_t original_characters = 0;
    friend bool operator==(const Piece&, const Piece&) = default;
  };

  std::size_t index_of(const Source& source);
  template <typename Render>
  RewrittenText render(Render render_source) const;

  std::vector<Piece> pieces_;
  std::string rest_;
  std::vector<std::string> expressions_;
  std::vector<std::uint32_t> parameter_types_;
  std::vector<std::string_view> types_;
  std::vector<bool> once_;
  std::vector<std::string> not_rewritten_;
  unsigned highest_parameter_ = 0;
  CharacterWidth width_ = CharacterWidth::utf8;
  bool positions_known_ = true;
  bool may_be_kept_ = true;
};

}  // namespace pgtandem
