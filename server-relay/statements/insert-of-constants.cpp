#include "server-relay/statements/lexical-scan.h"
#include "server-relay/statements/sql-lexer.h"

namespace pgtandem {
namespace {

using Kind = SqlToken::Kind;

/// INSERT INTO name [ ( name , ... ) ] VALUES ( constant , ... ) , ... [ ; ]
class InsertReader {
 public:
  explicit InsertReader(std::string_view text) : lexer_(text) { advance(); }

  bool read() {
    if (!take_word("insert") || !take_word("into") || !take_name()) return false;
    if (is_sign('(') && !take_columns()) return false;
    if (!take_word("values")) return false;
    do {
      if (!take_row()) return false;
    } while (take_sign(','));
    take_sign(';');
    return token_.kind == Kind::end;
  }
  bool has_parameters() const { return has_parameters_; }

 private:
  void advance() { token_ = lexer_.next(); }
  bool is_sign(char sign) const { return token_.kind == Kind::sign && token_.text[0] == sign; }
  bool take_sign(char sign) {
    const bool found = is_sign(sign);
    if (found) advance();
    return found;
  }
  bool take_word(std::string_view word) {
    const bool found = token_.kind == Kind::word && equals_folded(token_.text, word);
    if (found) advance();
    return found;
  }
  bool take_identifier() {
    const bool found = token_.kind == Kind::word || token_.kind == Kind::quoted_identifier;
    if (found) advance();
    return found;
  }
  bool take_name() {
    do {
      if (!take_identifier()) return false;
    } while (take_sign('.'));
    return true;
  }
  bool take_columns() {
    do {
      advance();
      if (!take_identifier()) return false;
    } while (is_sign(','));
    return take_sign(')');
  }
  bool take_row() {
    if (!is_sign('(')) return false;
    do {
      advance();
      if (!take_constant()) return false;
    } while (is_sign(','));
    return take_sign(')');
  }
  bool take_constant() {
    if (token_.kind == Kind::string || token_.kind == Kind::parameter) {
      has_parameters_ = has_parameters_ || token_.kind == Kind::parameter;
      advance();
      return true;
    }
    for (const std::string_view word : {"null", "default", "true", "false"}) {
      if (take_word(word)) return true;
    }
    if (token_.kind == Kind::operation && (token_.text == "-" || token_.text == "+")) advance();
    return take_number();
  }
  /// Digits with one point among or before them; exponents are left to the parser.
  bool take_number() {
    bool digits = take_digits();
    if (take_sign('.')) digits = take_digits() || digits;
    return digits;
  }
  bool take_digits() {
    const bool found = token_.kind == Kind::number;
    if (found) advance();
    return found;
  }

  SqlLexer lexer_;
  SqlToken token_;
  bool has_parameters_ = false;
};

}  // namespace

std::optional<Statement> classify_insert_of_constants(std::string_view text) {
  InsertReader reader(text);
  if (!reader.read()) return std::nullopt;
  return Statement{
      .kind = StatementKind::write, .may_use_sequences = true, .parameters = reader.has_parameters()};
}

}  // namespace pgtandem
