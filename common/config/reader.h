/// Typed access to checked values, with the table's defaults. For load-*.cpp.
#pragma once
#include <array>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "common/config/load.h"
#include "common/config/sources.h"
#include "common/config/value.h"

namespace pgtandem::config {

class Reader {
 public:
  explicit Reader(const Values& values) : values_(values) {}

  bool given(std::string_view name) const { return values_.contains(name); }
  /// Where the value came from; requires given().
  const std::string& origin(std::string_view name) const { return values_.at(name).origin; }

  /// The one value, the default, or an empty text.
  std::string text(std::string_view name) const {
    const auto found = values_.find(name);
    if (found != values_.end()) return found->second.items.front();
    const Setting* setting = find_setting(name);
    if (!setting) throw std::logic_error("no setting is called " + std::string(name));
    return std::string(setting->fallback);
  }
  std::vector<std::string> list(std::string_view name) const {
    const auto found = values_.find(name);
    if (found != values_.end()) return found->second.items;
    const std::string fallback = text(name);
    return fallback.empty() ? std::vector<std::string>{} : std::vector<std::string>{fallback};
  }
  // The values were checked when they were read: the parsers cannot fail here.
  std::uint64_t number(std::string_view name) const { return *parse_number(text(name)); }
  std::uint16_t port(std::string_view name) const { return std::uint16_t(number(name)); }
  std::uint64_t size(std::string_view name) const { return *parse_size(text(name)); }
  Milliseconds duration(std::string_view name) const { return *parse_duration(text(name)); }
  Endpoint endpoint(std::string_view name) const { return *parse_endpoint(text(name)); }
  std::vector<Endpoint> endpoints(std::string_view name) const {
    std::vector<Endpoint> out;
    for (const std::string& item : list(name)) out.push_back(*parse_endpoint(item));
    return out;
  }
  /// The member of an enum whose words are in the table, in the same order as `members`.
  template <typename T, std::size_t N>
  T choice(std::string_view name, const std::array<std::pair<std::string_view, T>, N>& members) const {
    const std::string word = text(name);
    for (const auto& [key, member] : members) {
      if (key == word) return member;
    }
    throw std::logic_error("the word " + word + " of " + std::string(name) + " has no meaning");
  }

 private:
  const Values& values_;
};

NodeSettings read_node(const Reader& reader, const std::string& section);
ServiceSettings read_service(const Reader& reader);
log::Options read_log(const Reader& reader);
/// Relays from the list, or from the two nodes; tells an error for two equal ones, more than two, and for one
/// node without the other.
std::vector<RelayAddress> read_relays(const Reader& reader, Findings& findings);

/// What every program does with its command line. `complete` is called with all values where nothing was
/// asked that only prints; the errors of all stages are told together.
struct Gathered {
  Values values;
  LaunchOptions launch;
  std::vector<std::string> rest;
  std::optional<std::string> answer;
};
Gathered gather(const ProgramText& program, int argc, const char* const* argv, const Environment& environment,
                Findings& findings);
/// A process in the background has no standard error.
void check_launch(const Gathered& gathered, Findings& findings);
/// --print-config needs errors to be known first: the answer is made last.
std::string all_errors(const Findings& findings);

}  // namespace pgtandem::config
