#include "server-relay/statements/parse-tree.h"

#include <pg_query.h>

#include "server-relay/statements/sql-lexer.h"

namespace pgtandem {

void* ParseTree::Arena::take(std::size_t size) {
  constexpr std::size_t kAlignment = alignof(std::max_align_t);
  size = (size + kAlignment - 1) / kAlignment * kAlignment;
  if (size > kBlock / 4) {
    // A block of its own, behind the one in use.
    auto own = std::make_unique_for_overwrite<std::byte[]>(size);
    void* memory = own.get();
    blocks_.insert(blocks_.end() - (blocks_.empty() ? 0 : 1), std::move(own));
    return memory;
  }
  if (used_ + size > kBlock || blocks_.empty()) {
    blocks_.push_back(std::make_unique_for_overwrite<std::byte[]>(kBlock));
    used_ = 0;
  }
  void* memory = blocks_.back().get() + used_;
  used_ += size;
  return memory;
}

std::optional<ParseTree> ParseTree::parse(const std::string& text) {
  const auto release = [](PgQueryProtobufParseResult* parsed) {
    pg_query_free_protobuf_parse_result(*parsed);
  };
  PgQueryProtobufParseResult parsed = pg_query_parse_protobuf(text.c_str());
  const std::unique_ptr<PgQueryProtobufParseResult, decltype(release)> owner(&parsed);
  if (parsed.error != nullptr) return std::nullopt;
  ParseTree tree;
  tree.arena_ = std::make_unique<Arena>();
  ProtobufCAllocator allocator{
      [](void* arena, std::size_t size) { return static_cast<Arena*>(arena)->take(size); },
      [](void*, void*) {},  // all at once, with the arena
      tree.arena_.get()};
  tree.result_ = pg_query__parse_result__unpack(
      &allocator, parsed.parse_tree.len, reinterpret_cast<const std::uint8_t*>(parsed.parse_tree.data));
  if (tree.result_ == nullptr) return std::nullopt;
  return tree;
}

std::string_view string_of(const PgQuery__Node* node) {
  return node->node_case == PG_QUERY__NODE__NODE_STRING ? node->string->sval : std::string_view();
}

QualifiedName qualified_name(PgQuery__Node* const* parts, std::size_t count) {
  QualifiedName name;
  if (count >= 1) name.name = string_of(parts[count - 1]);
  if (count >= 2) name.schema = string_of(parts[count - 2]);
  return name;
}

std::optional<std::string_view> string_constant(const PgQuery__Node* node) {
  while (node != nullptr && node->node_case == PG_QUERY__NODE__NODE_TYPE_CAST) node = node->type_cast->arg;
  if (node == nullptr || node->node_case != PG_QUERY__NODE__NODE_A_CONST ||
      node->a_const->val_case != PG_QUERY__A__CONST__VAL_SVAL) {
    return std::nullopt;
  }
  return node->a_const->sval->sval;
}

bool option_is_on(const PgQuery__DefElem& option) {
  if (option.arg == nullptr) return true;
  switch (option.arg->node_case) {
    case PG_QUERY__NODE__NODE_STRING:
      return !equals_folded(string_of(option.arg), "false") && !equals_folded(string_of(option.arg), "off");
    case PG_QUERY__NODE__NODE_INTEGER:
      return option.arg->integer->ival != 0;
    case PG_QUERY__NODE__NODE_BOOLEAN:
      return option.arg->boolean->boolval != 0;
    default:
      return true;
  }
}

}  // namespace pgtandem
