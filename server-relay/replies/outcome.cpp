#include "server-relay/replies/outcome.h"

#include <algorithm>
#include <charconv>

namespace pgtandem {
namespace {

/// The tag without its numbers: "INSERT 0 5" is "INSERT".
std::string_view tag_name(std::string_view tag) {
  while (!tag.empty() && ((tag.back() >= '0' && tag.back() <= '9') || tag.back() == ' '))
    tag.remove_suffix(1);
  return tag;
}

}  // namespace

TagClass classify_tag(std::string_view tag, bool copied_out) {
  const std::string_view name = tag_name(tag);
  const auto is_one_of = [&](std::initializer_list<std::string_view> names) {
    return std::ranges::find(names, name) != names.end();
  };
  if (is_one_of({"SELECT", "SHOW", "EXPLAIN", "FETCH", "MOVE"})) return TagClass::read;
  if (name == "COPY" && copied_out) return TagClass::read;
  if (is_one_of({"BEGIN", "START TRANSACTION"})) return TagClass::begin;
  if (is_one_of({"COMMIT", "PREPARE TRANSACTION", "COMMIT PREPARED"})) return TagClass::commit;
  if (is_one_of({"ROLLBACK", "ROLLBACK PREPARED"})) return TagClass::rollback;
  return TagClass::other;
}

std::uint64_t tag_count(std::string_view tag) {
  const std::size_t space = tag.rfind(' ');
  std::uint64_t count = 0;
  if (space == std::string_view::npos) return 0;
  std::from_chars(tag.data() + space + 1, tag.data() + tag.size(), count);
  return count;
}

bool Outcome::wrote_what_it_selected() const {
  return kind == Kind::complete && rows == 0 && text.view().starts_with("SELECT") &&
         tag_count(text.view()) != 0;
}

std::string Outcome::describe() const {
  std::string out;
  switch (kind) {
    case Kind::complete:
      out = text.view();
      break;
    case Kind::empty_query:
      out = "empty query";
      break;
    case Kind::suspended:
      out = "portal suspended";
      break;
    case Kind::function_result:
      out = "function result";
      break;
    case Kind::error:
      out = std::string(fatal ? "FATAL " : "ERROR ").append(sqlstate.view()).append(" ").append(text.view());
      break;
    case Kind::copy_in:
      out = "waiting for COPY data";
      break;
    case Kind::ready:
      out = std::string("ready, transaction status ") + status;
      break;
  }
  if (rows != 0) out += ", " + std::to_string(rows) + (rows == 1 ? " row" : " rows");
  return out;
}

}  // namespace pgtandem
