/// The prepared statements of one session whose text went to the servers with other parameters than the
/// frontend knows, and what the unit under way does with them. Pure; PostgreSQL manual, "Extended Query".
///
/// An entry's life: noted when its Parse is sent, in force from the ParseComplete on. A Parse that fails
/// leaves a statement of that name as it was.
#pragma once
#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server-relay/rewriting/rewrite-plan.h"

namespace pgtandem {

struct RewrittenStatement {
  std::shared_ptr<const RewritePlan> plan;
  unsigned original_parameters = 0;
  PositionMap positions;
  std::string original;  ///< body of the frontend's Parse
};

class RewrittenStatements {
 public:
  void begin_unit() {
    parses_.clear();
    describes_.clear();
    completed_ = 0;
    positions_ = {};
  }
  /// Replies that are under way are still to be restored.
  bool awaits_replies() const {
    return !describes_.empty() || positions_ ||
           std::ranges::any_of(parses_, [](const Parse& parse) { return parse.statement.has_value(); });
  }
  /// The unit is sent once more.
  void begin_again() {
    describes_at_ = 0;
    completed_ = 0;
  }

  /// Null: the servers have the statement as the frontend has it. What this unit parses counts.
  const RewrittenStatement* find(std::string_view name) const {
    for (auto parse = parses_.rbegin(); parse != parses_.rend(); ++parse) {
      if (parse->name == name) return parse->statement ? &*parse->statement : nullptr;
    }
    const auto found = statements_.find(name);
    return found != statements_.end() ? &found->second : nullptr;
  }
  void parse(std::string_view name, std::optional<RewrittenStatement> statement) {
    parses_.push_back({std::string(name), std::move(statement)});
  }
  void on_parse_complete() {
    if (completed_ >= parses_.size()) return;
    const Parse& parse = parses_[completed_++];
    if (parse.statement) {
      statements_.insert_or_assign(parse.name, *parse.statement);
    } else if (const auto old = statements_.find(parse.name); old != statements_.end()) {
      statements_.erase(old);
    }
  }
  void close(std::string_view name) {
    if (const auto found = statements_.find(name); found != statements_.end()) statements_.erase(found);
  }
  void close_all() { statements_.clear(); }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& [name, statement] : statements_) names.push_back(name);
    return names;
  }
  bool empty() const { return statements_.empty() && parses_.empty(); }

  /// A Describe of a statement: how many parameters the frontend may hear of, if not all.
  void describe(std::optional<unsigned> original_parameters) {
    describes_at_ = 0;
    describes_.push_back(original_parameters);
  }
  /// For the next ParameterDescription.
  std::optional<unsigned> next_described() {
    return describes_at_ < describes_.size() ? describes_[describes_at_++] : std::nullopt;
  }

  /// Of the unit's only rewritten text.
  const std::optional<PositionMap>& positions() const { return positions_; }
  void set_positions(PositionMap positions) { positions_ = std::move(positions); }

 private:
  struct Parse {
    std::string name;
    std::optional<RewrittenStatement> statement;
  };
  std::map<std::string, RewrittenStatement, std::less<>> statements_;
  std::vector<Parse> parses_;
  std::size_t completed_ = 0;
  std::vector<std::optional<unsigned>> describes_;
  std::size_t describes_at_ = 0;
  std::optional<PositionMap> positions_;
};

}  // namespace pgtandem
