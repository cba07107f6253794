#include <fstream>
#include <ostream>

#include "server-relay/control/difference.h"
#include "server-relay/control/divergence-log.h"
#include "server-relay/tool/command.h"

namespace pgtandem::tool {
namespace {

std::string shortened(const std::string& text, std::size_t width) {
  std::string clean = printable(text);
  if (clean.size() <= width) return clean;
  std::size_t end = width - 3;
  while (end > 0 && (static_cast<unsigned char>(clean[end]) & 0xC0U) == 0x80U) --end;
  return clean.substr(0, end) + "...";
}

std::string entry_text(const Difference& d, const Style& style) {
  const std::string head = printable(d.time) + "  " + std::string(to_string(d.kind)) + "  " +
                           std::string(to_string(d.action)) + "  session " + std::to_string(d.session) +
                           "  " + printable(d.user) + "@" + printable(d.database) +
                           (d.application.empty() ? "" : " (" + printable(d.application) + ")");
  std::string text = style(d.kind == Difference::Kind::write ? Tone::warn : Tone::plain, head) + "\n";
  text += table_text({{"statement", shortened(d.statement, 400)},
                      {"differs", shortened(d.what, 300)},
                      {"master", shortened(d.master, 300)},
                      {"standby", shortened(d.standby, 300)}},
                     4);
  return text;
}

struct Totals {
  std::uint64_t writes = 0, reads = 0, lost = 0, unreadable = 0;
};

/// Reads one file; one that does not exist is no error (`required` apart).
void read_file(Context& context, const std::string& path, bool required, bool json, bool writes_only,
               Totals& totals) {
  std::ifstream file(path);
  if (!file) {
    if (!required) return;
    throw Failure{
        kNoInput,
        "cannot read '" + path +
            "'\n  do: give --state-dir or --file; on the master's host, as root or the relay's user"};
  }
  std::string line;
  while (std::getline(file, line)) {
    if (line.empty()) continue;
    const auto entry = parse_difference_line(line);
    if (!entry) {
      ++totals.unreadable;
      continue;
    }
    totals.lost += entry->lost;
    if (entry->lost == 0)
      ++(entry->difference.kind == Difference::Kind::write ? totals.writes : totals.reads);
    const bool wanted = !writes_only || entry->lost > 0 || entry->difference.kind == Difference::Kind::write;
    if (!wanted) continue;
    if (json) {
      context.out << line << "\n";
    } else if (entry->lost > 0) {
      context.out << printable(entry->difference.time) << "  " << entry->lost
                  << " entries were lost before this\n";
    } else {
      context.out << entry_text(entry->difference, context.style);
    }
  }
}

}  // namespace

int differences_command(Context& context) {
  cxxopts::Options options = make_options(
      "differences",
      "Shows what differed between the two servers, oldest first. Reads the relay's divergence log, so it\n"
      "runs on the host of the relay that was active.");
  options.add_options()("state-dir", "The relay's state_dir.",
                        cxxopts::value<std::string>()->default_value("/var/lib/pgtandem"), "DIR")(
      "file", "This file instead (also a copy from elsewhere).", cxxopts::value<std::string>(), "FILE")(
      "writes", "Only what may have changed data.")("json", "JSON lines, as they are in the file.");
  const auto parsed = parse(context, options);
  if (!parsed) return kOk;
  const bool json = parsed->count("json") > 0;
  const bool writes = parsed->count("writes") > 0;
  Totals totals;
  if (parsed->count("file") > 0) {
    read_file(context, (*parsed)["file"].as<std::string>(), true, json, writes, totals);
  } else {
    const std::string path = (*parsed)["state-dir"].as<std::string>() + "/" + DivergenceLog::kFileName;
    read_file(context, path + ".2", false, json, writes, totals);
    read_file(context, path + ".1", false, json, writes, totals);
    read_file(context, path, true, json, writes, totals);
  }
  if (!json) {
    context.out << count_text(totals.writes) << " differences of writes, " << count_text(totals.reads)
                << " of reads";
    if (totals.lost > 0) context.out << ", " << count_text(totals.lost) << " entries lost";
    if (totals.unreadable > 0) context.out << ", " << count_text(totals.unreadable) << " lines unreadable";
    context.out << "\n";
  }
  return kOk;
}

}  // namespace pgtandem::tool
