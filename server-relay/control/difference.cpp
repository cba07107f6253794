#include "server-relay/control/difference.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace pgtandem {
namespace {

using nlohmann::json;

std::string to_json_line(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

/// At most `limit` bytes, not ending inside a UTF-8 character.
std::string cut(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return std::string(text);
  std::size_t end = limit;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return std::string(text.substr(0, end)) + "...";
}

bool names_a_password(std::string_view statement) {
  constexpr std::string_view kWord = "password";
  const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? char(a + 32) : a) == b; };
  return std::search(statement.begin(), statement.end(), kWord.begin(), kWord.end(), same) != statement.end();
}

/// `ALTER ROLE x PASSWORD 'secret'` must not reach the disk; neither may its other spellings.
std::string without_password(std::string_view statement) {
  if (!names_a_password(statement)) return cut(statement, kMaxLoggedStatement);
  std::size_t end = statement.find_first_of(" \t\r\n(");
  if (end != std::string_view::npos) end = statement.find_first_of(" \t\r\n('\"$", end + 1);
  const std::string_view head = statement.substr(0, std::min<std::size_t>(end, 40));
  return (names_a_password(head) ? std::string() : std::string(head) + " ") +
         "(left out: it may hold a password)";
}

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

std::string_view to_string(Difference::Kind kind) {
  return kind == Difference::Kind::write ? "write" : "read";
}

std::string_view to_string(Difference::Action action) {
  switch (action) {
    case Difference::Action::stale:
      return "stale";
    case Difference::Action::logged:
      return "logged";
    case Difference::Action::refused:
      return "refused";
  }
  return "logged";
}

std::string to_line(const Difference& d) {
  return to_json_line({{"time", d.time},
                       {"kind", to_string(d.kind)},
                       {"session", d.session},
                       {"user", cut(d.user, kMaxLoggedText)},
                       {"database", cut(d.database, kMaxLoggedText)},
                       {"application", cut(d.application, kMaxLoggedText)},
                       {"statement", without_password(d.statement)},
                       {"bind_digest", cut(d.bind_digest, kMaxLoggedText)},
                       {"what", cut(d.what, kMaxLoggedText)},
                       {"master", cut(d.master, kMaxLoggedText)},
                       {"standby", cut(d.standby, kMaxLoggedText)},
                       {"action", to_string(d.action)}});
}

std::string lost_line(std::string_view time, std::uint64_t lost) {
  return to_json_line({{"time", time}, {"kind", "lost"}, {"lost", lost}});
}

Result<DifferenceLine> parse_difference_line(std::string_view line) {
  const json object = json::parse(line, nullptr, false);
  if (!object.is_object()) return Error{"the line is no JSON object"};
  DifferenceLine result;
  Difference& d = result.difference;
  d.time = text_of(object, "time");
  const std::string kind = text_of(object, "kind");
  if (kind == "lost") {
    const auto lost = object.find("lost");
    if (lost == object.end() || !lost->is_number_unsigned())
      return Error{"a line of lost entries has no count"};
    result.lost = lost->get<std::uint64_t>();
    return result;
  }
  if (kind != "write" && kind != "read") return Error{"'" + cut(kind, 40) + "' is no kind of difference"};
  d.kind = kind == "write" ? Difference::Kind::write : Difference::Kind::read;
  const auto session = object.find("session");
  if (session != object.end() && session->is_number_unsigned()) d.session = session->get<std::uint64_t>();
  d.user = text_of(object, "user");
  d.database = text_of(object, "database");
  d.application = text_of(object, "application");
  d.statement = text_of(object, "statement");
  d.bind_digest = text_of(object, "bind_digest");
  d.what = text_of(object, "what");
  d.master = text_of(object, "master");
  d.standby = text_of(object, "standby");
  const std::string action = text_of(object, "action");
  d.action = action == "stale"     ? Difference::Action::stale
             : action == "refused" ? Difference::Action::refused
                                   : Difference::Action::logged;
  return result;
}

}  // namespace pgtandem
