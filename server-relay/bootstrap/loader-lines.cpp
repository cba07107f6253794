#include "server-relay/bootstrap/loader-lines.h"

#include <nlohmann/json.hpp>

#include "server-relay/bootstrap/sql-text.h"

namespace pgtandem::bootstrap {

std::string to_json(const LoaderLine& line) {
  nlohmann::json json = {{"event", line.event}};
  if (!line.phase.empty()) json["phase"] = line.phase;
  if (!line.name.empty()) json["name"] = line.name;
  if (!line.sha256.empty()) json["sha256"] = line.sha256;
  if (!line.error.empty()) json["error"] = line.error;
  if (!line.remedy.empty()) json["do"] = line.remedy;
  if (!line.left.empty()) json["left"] = line.left;
  if (line.bytes != 0) json["bytes"] = line.bytes;
  if (line.pieces != 0) json["pieces"] = line.pieces;
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<LoaderLine> parse_loader_line(std::string_view text) {
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    LoaderLine line;
    line.event = json.at("event");
    line.phase = json.value("phase", "");
    line.name = json.value("name", "");
    line.sha256 = json.value("sha256", "");
    line.error = json.value("error", "");
    line.remedy = json.value("do", "");
    line.left = json.value("left", std::vector<std::string>());
    line.bytes = json.value("bytes", std::uint64_t(0));
    line.pieces = json.value("pieces", std::uint32_t(0));
    return line;
  } catch (const nlohmann::json::exception&) {
    return Error{"the other host answered with something else than pgtandem's lines: '" +
                 safe_excerpt(text, 120) +
                 "'; is --remote-pgtandem right, and does the login shell there print nothing?"};
  }
}

}  // namespace pgtandem::bootstrap
