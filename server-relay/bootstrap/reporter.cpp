#include "server-relay/bootstrap/reporter.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <iostream>
#include <sys/ioctl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

namespace pgtandem::bootstrap {
namespace {

using nlohmann::json;
using std::chrono::steady_clock;

constexpr auto kLineEvery = std::chrono::milliseconds(250);
constexpr auto kJsonEvery = std::chrono::seconds(1);
constexpr std::size_t kUsualWidth = 80;
constexpr const char* kClearToEnd = "\x1b[K";

std::size_t terminal_width() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return kUsualWidth;
  return size.ws_col - 1U;
}

std::string arrival(std::chrono::seconds left) {
  const std::time_t at = std::time(nullptr) + left.count();
  std::tm local{};
  ::localtime_r(&at, &local);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%H:%M:%S", &local);
  return text.data();
}

void print_json(const json& object) {
  std::cout << object.dump(-1, ' ', false, json::error_handler_t::replace) << std::endl;
}

const char* kind_name(Finding::Kind kind) {
  switch (kind) {
    case Finding::Kind::note:
      return "note";
    case Finding::Kind::question:
      return "question";
    case Finding::Kind::problem:
      return "problem";
  }
  return "note";
}

}  // namespace

void Reporter::end_line() {
  if (line_open_) std::cout << "\n";
  line_open_ = false;
}

void Reporter::finding(const Finding& finding) {
  if (style_ == Style::json) {
    json object = {{"event", "finding"}, {"kind", kind_name(finding.kind)}, {"text", finding.text}};
    if (!finding.remedy.empty()) object["do"] = finding.remedy;
    print_json(object);
    return;
  }
  end_line();
  std::cout << kind_name(finding.kind) << ": " << finding.text << "\n";
  if (!finding.remedy.empty()) std::cout << "      -> " << finding.remedy << "\n";
  std::cout << std::flush;
}

void Reporter::step(const std::string& text) {
  if (style_ == Style::json) {
    print_json({{"event", "step"}, {"text", text}});
    return;
  }
  end_line();
  std::cout << text << std::endl;
}

void Reporter::progress(const ProgressView& view) {
  const auto now = steady_clock::now();
  const std::string what = view.phase + " " + view.database;
  const auto every =
      style_ == Style::json ? steady_clock::duration(kJsonEvery) : steady_clock::duration(kLineEvery);
  if (what == shown_what_ && now - shown_ < every) return;
  shown_ = now;
  shown_what_ = what;
  if (style_ == Style::json) {
    std::cout << render_json(view) << std::endl;
    return;
  }
  const std::string at = view.left ? arrival(*view.left) : "";
  std::cout << "\r" << render_line(view, at, terminal_width()) << kClearToEnd << std::flush;
  line_open_ = true;
}

void Reporter::done(const Summary& s) {
  const double seconds = std::max(0.001, std::chrono::duration<double>(s.duration).count());
  if (style_ == Style::json) {
    print_json({{"event", "done"},
                {"databases", s.databases},
                {"bytes", s.bytes},
                {"wire_bytes", s.wire_bytes},
                {"seconds", seconds},
                {"epoch", s.epoch},
                {"sha256", s.sha256},
                {"kept_file", s.kept_file},
                {"only_on_target", s.left}});
    return;
  }
  end_line();
  std::cout << "Done: the standby has joined (epoch " << s.epoch << ").\n"
            << "  " << s.databases << (s.databases == 1 ? " database, " : " databases, ")
            << format_bytes(s.bytes) << " of dump text (" << format_bytes(s.wire_bytes) << " sent) in "
            << format_duration(std::chrono::duration_cast<std::chrono::seconds>(s.duration)) << ", "
            << format_bytes(std::uint64_t(double(s.bytes) / seconds)) << "/s\n"
            << "  SHA-256 " << s.sha256 << ", the same on both sides\n";
  if (!s.kept_file.empty())
    std::cout << "  kept in " << s.kept_file << " (it holds password verifiers: keep it closed)\n";
  for (const std::string& name : s.left) std::cout << "  only on the standby: " << printable(name) << "\n";
  std::cout << std::flush;
}

void Reporter::failed(const std::string& what, const std::string& remedy) {
  if (style_ == Style::json) print_json({{"event", "failed"}, {"error", what}, {"do", remedy}});
  end_line();
  std::cout << std::flush;
  std::cerr << "pgtandem bootstrap: " << what << (remedy.empty() ? "" : "\n  -> " + remedy) << std::endl;
}

}  // namespace pgtandem::bootstrap
