#include "server-relay/statements/statement-catalogue.h"

#include <algorithm>

#include "server-relay/statements/classify.h"
#include "server-relay/statements/known-functions.h"

namespace pgtandem {
namespace {

constexpr std::string_view kOwnSchema = "pg_catalog";

/// Views of views: deeper ones count as unsafe, which bounds the stack.
constexpr int kMaxViewDepth = 16;
thread_local int view_depth = 0;
/// While the domains' checks are judged, the casts in them count as safe: if all checks pass, they are.
thread_local int domain_depth = 0;
/// The text that is being judged: a recursive view names itself, which adds nothing.
thread_local const void* judged_text = nullptr;

/// Sets a value until the end of the scope.
template <typename Value>
class Within {
 public:
  Within(Value& place, Value value) : place_(place), before_(place) { place_ = value; }
  ~Within() { place_ = before_; }
  Within(const Within&) = delete;
  Within& operator=(const Within&) = delete;

 private:
  Value& place_;
  Value before_;
};

enum Verdict : std::uint8_t { unjudged = 0, safe = 1, unsafe = 2 };

Error malformed(std::string_view what, std::size_t at) {
  return Error{"the statement catalogue's " + std::string(what) + " number " + std::to_string(at + 1) +
               " is malformed"};
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t end = text.find(separator); end != std::string_view::npos; end = text.find(separator)) {
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  parts.emplace_back(text);
  return parts;
}

Result<void> check_rows(CatalogueRows rows, std::size_t columns, std::string_view what) {
  if (rows.size() > StatementCatalogue::kMaxRows) {
    return Error{"the database has more than " + std::to_string(StatementCatalogue::kMaxRows) + " " +
                 std::string(what) + "s: no statement can be proven to be a read"};
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].size() != columns) return malformed(what, i);
  }
  return {};
}

bool is_flag(const std::string& text) {
  return text == "t" || text == "f";
}

}  // namespace

Result<std::shared_ptr<const StatementCatalogue>> StatementCatalogue::from_rows(
    const StatementCatalogueRows& rows) {
  const auto catalogue = std::make_shared<StatementCatalogue>();
  for (const Result<void>& added :
       {catalogue->add_functions(rows.functions), catalogue->add_operators(rows.operators),
        catalogue->add_types(rows.types), catalogue->add_relations(rows.relations),
        catalogue->add_row_keys(rows.row_keys)}) {
    if (!added) return Error{added.error()};
  }
  return std::shared_ptr<const StatementCatalogue>(catalogue);
}

Result<void> StatementCatalogue::add_functions(CatalogueRows rows) {
  if (auto checked = check_rows(rows, 4, "function"); !checked) return checked;
  functions_.reserve(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& row = rows[i];
    if ((row[2] != "v" && row[2] != "s") || !is_flag(row[3])) return malformed("function", i);
    const bool own = row[0] == kOwnSchema;
    const bool harmless = is_harmless_volatile(row[1]) || changes_session_only(row[1]);
    const bool is_safe = own ? !runs_given_query(row[1]) && (row[2] == "s" || harmless) : row[2] == "s";
    functions_[row[1]].push_back({row[0], is_safe, row[3] == "t" && !is_safe});
  }
  return {};
}

Result<void> StatementCatalogue::add_operators(CatalogueRows rows) {
  if (auto checked = check_rows(rows, 2, "operator"); !checked) return checked;
  for (const auto& row : rows) {
    // IN, CASE, JOIN ... USING and the like find = by its name.
    if (row[1].empty() || row[1] == "=") implicit_calls_are_safe_ = false;
    if (!row[1].empty()) volatile_operators_[row[1]].push_back(row[0]);
  }
  return {};
}

Result<void> StatementCatalogue::add_types(CatalogueRows rows) {
  if (auto checked = check_rows(rows, 4, "type"); !checked) return checked;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& row = rows[i];
    if (row[2] == "d") {
      domain_checks_.emplace_back("SELECT " + row[3]);
    } else if (row[2] == "c" || row[2] == "i") {
      volatile_cast_targets_[row[1]].push_back(row[0]);
      if (row[2] == "i") implicit_calls_are_safe_ = false;
    } else {
      return malformed("type", i);
    }
  }
  return {};
}

Result<void> StatementCatalogue::add_relations(CatalogueRows rows) {
  if (auto checked = check_rows(rows, 5, "relation"); !checked) return checked;
  relations_.reserve(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& row = rows[i];
    if (row[2].size() != 1 || std::string_view("rpmSIvu").find(row[2][0]) == std::string_view::npos ||
        !is_flag(row[3])) {
      return malformed("relation", i);
    }
    const JudgedText* view = nullptr;
    if (row[2][0] == 'v') view = &views_.emplace_back(row[4]);
    relations_[row[1]].push_back({row[0], row[2][0], row[3] == "t", view});
  }
  return {};
}

template <typename Value, typename Test>
bool StatementCatalogue::all_of(const ByName<Value>& names, std::string_view schema, std::string_view name,
                                bool if_none, Test test) const {
  const auto found = names.find(name);
  if (found == names.end()) return if_none;
  bool any = false;
  for (const Value& value : found->second) {
    const std::string& its_schema = [&]() -> const std::string& {
      if constexpr (std::is_same_v<Value, std::string>) {
        return value;
      } else {
        return value.schema;
      }
    }();
    if (!schema.empty() && schema != its_schema) continue;
    if (!test(value)) return false;
    any = true;
  }
  return any || if_none;
}

bool StatementCatalogue::function_is_safe(std::string_view schema, std::string_view name) const {
  return all_of(functions_, schema, name, false, [](const Function& function) { return function.safe; });
}

bool StatementCatalogue::function_is_own(std::string_view name) const {
  return all_of(functions_, "", name, false,
                [](const Function& function) { return function.schema == kOwnSchema; });
}

bool StatementCatalogue::function_is_users(std::string_view name) const {
  return !all_of(functions_, "", name, true,
                 [](const Function& function) { return function.schema == kOwnSchema; });
}

bool StatementCatalogue::attribute_is_safe(std::string_view name) const {
  return all_of(functions_, "", name, true, [](const Function& function) { return !function.takes_row; });
}

bool StatementCatalogue::operator_is_safe(std::string_view schema, std::string_view name) const {
  return all_of(volatile_operators_, schema, name, true, [](const std::string&) { return false; });
}

bool StatementCatalogue::type_is_safe(std::string_view schema, std::string_view name) const {
  if (!all_of(volatile_cast_targets_, schema, name, true, [](const std::string&) { return false; }))
    return false;
  if (schema == kOwnSchema || domain_depth > 0) return true;
  const Within deeper(domain_depth, domain_depth + 1);
  return std::ranges::all_of(domain_checks_, [this](const JudgedText& check) { return is_read(check); });
}

bool StatementCatalogue::relation_is_safe(std::string_view schema, std::string_view name) const {
  return all_of(relations_, schema, name, false, [this](const Relation& relation) {
    if (relation.form == 'v') return is_read(*relation.view);
    return relation.form != 'u' && relation.form != 'I';
  });
}

bool StatementCatalogue::relation_is_table(std::string_view schema, std::string_view name) const {
  return all_of(relations_, schema, name, false, [](const Relation& relation) {
    return relation.form == 'r' || relation.form == 'p' || relation.form == 'm';
  });
}

bool StatementCatalogue::relation_is_known(std::string_view schema, std::string_view name) const {
  return all_of(relations_, schema, name, false, [](const Relation&) { return true; });
}

bool StatementCatalogue::relation_acts(std::string_view schema, std::string_view name) const {
  return !all_of(relations_, schema, name, false, [](const Relation& relation) { return !relation.acts; });
}

bool StatementCatalogue::relation_is_partitioned(std::string_view schema, std::string_view name) const {
  return !all_of(relations_, schema, name, true,
                 [](const Relation& relation) { return relation.form != 'p' && relation.form != 'I'; });
}

Result<void> StatementCatalogue::add_row_keys(CatalogueRows rows) {
  if (auto checked = check_rows(rows, 6, "row key"); !checked) return checked;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& row = rows[i];
    if (!is_flag(row[2]) || !is_flag(row[4])) return malformed("row key", i);
    const auto named = relations_.find(row[1]);
    if (named == relations_.end()) continue;
    const auto relation = std::ranges::find(named->second, row[0], &Relation::schema);
    if (relation == named->second.end()) continue;
    relation->takes_plain_rows = row[2] == "t";
    relation->keys_are_all = row[4] == "t";
    if (!row[5].empty()) relation->refers_by = split(row[5], '\t');
    for (const std::string& line : split(row[3], '\n')) {
      if (!line.empty()) relation->keys.push_back(split(line, '\t'));
    }
  }
  return {};
}

bool StatementCatalogue::relation_has_key(std::string_view schema, std::string_view name,
                                          std::span<const std::string_view> columns) const {
  const auto held = [&](const std::string& column) {
    return std::ranges::find(columns, column) != columns.end();
  };
  return all_of(relations_, schema, name, false, [&](const Relation& relation) {
    return !relation.acts && std::ranges::any_of(relation.keys, [&](const std::vector<std::string>& key) {
      return std::ranges::all_of(key, held);
    });
  });
}

bool StatementCatalogue::relation_key_is(std::string_view schema, std::string_view name,
                                         std::span<const std::string_view> columns) const {
  // The name alone has to tell which relation's row it is.
  const auto named = relations_.find(name);
  if (named == relations_.end() || named->second.size() != 1) return false;
  return all_of(relations_, schema, name, false, [&](const Relation& relation) {
    return relation.keys_are_all &&
           std::ranges::any_of(relation.keys, [&](const std::vector<std::string>& key) {
             return std::ranges::is_permutation(key, columns);
           });
  });
}

bool StatementCatalogue::column_is_no_key(std::string_view schema, std::string_view name,
                                          std::string_view column) const {
  return all_of(relations_, schema, name, false, [&](const Relation& relation) {
    return relation.keys_are_all &&
           std::ranges::find(relation.refers_by, column) == relation.refers_by.end() &&
           std::ranges::none_of(relation.keys, [&](const std::vector<std::string>& key) {
             return std::ranges::find(key, column) != key.end();
           });
  });
}

bool StatementCatalogue::relation_has_no_keys(std::string_view schema, std::string_view name) const {
  return all_of(relations_, schema, name, false, [](const Relation& relation) {
    return relation.keys_are_all && relation.keys.empty() && relation.refers_by.empty();
  });
}

bool StatementCatalogue::relation_takes_plain_rows(std::string_view schema, std::string_view name) const {
  return all_of(relations_, schema, name, false,
                [](const Relation& relation) { return !relation.acts && relation.takes_plain_rows; });
}

bool StatementCatalogue::is_read(const JudgedText& text) const {
  const auto known = Verdict(text.verdict.load(std::memory_order_relaxed));
  if (known != unjudged) return known == safe;
  if (&text == judged_text) return true;
  if (view_depth >= kMaxViewDepth) return false;
  const Within deeper(view_depth, view_depth + 1);
  const Within here(judged_text, static_cast<const void*>(&text));
  const bool read = classify(text.sql, this).kind == StatementKind::read;
  text.verdict.store(read ? safe : unsafe, std::memory_order_relaxed);
  return read;
}

}  // namespace pgtandem
