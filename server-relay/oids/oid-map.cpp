#include "server-relay/oids/oid-map.h"

#include <string>

namespace pgtandem {
namespace {

using Walk = TypeShape::Walk;

/// Chains of inner types longer than this are not looked into: such a type counts as worth walking, and the
/// walk has its own limit.
constexpr int kMaxChain = 32;

/// Built-in types whose binary values are, or contain, oids (pg_type.dat; these oids never change).
const TypeShape* built_in_shape(Oid type) {
  static constexpr TypeShape kRecord{2249, Walk::composite, 0, true};
  static constexpr TypeShape kRecordArray{2287, Walk::array, 2249, true};
  static constexpr TypeShape kRegproc{24, Walk::oid_of_function, 0, true};
  static constexpr TypeShape kRegprocArray{1008, Walk::array, 24, true};
  static constexpr TypeShape kRegprocedure{2202, Walk::oid_of_function, 0, true};
  static constexpr TypeShape kRegprocedureArray{2207, Walk::array, 2202, true};
  static constexpr TypeShape kRegtype{2206, Walk::oid_of_type, 0, true};
  static constexpr TypeShape kRegtypeArray{2211, Walk::array, 2206, true};
  switch (type) {
    case 2249:
      return &kRecord;
    case 2287:
      return &kRecordArray;
    case 24:
      return &kRegproc;
    case 1008:
      return &kRegprocArray;
    case 2202:
      return &kRegprocedure;
    case 2207:
      return &kRegprocedureArray;
    case 2206:
      return &kRegtype;
    case 2211:
      return &kRegtypeArray;
    default:
      return nullptr;
  }
}

Walk walk_of(TypeForm form) {
  switch (form) {
    case TypeForm::plain:
      return Walk::none;
    case TypeForm::array:
      return Walk::array;
    case TypeForm::composite:
      return Walk::composite;
    case TypeForm::domain:
      return Walk::domain;
    case TypeForm::range:
      return Walk::range;
    case TypeForm::multirange:
      return Walk::multirange;
  }
  return Walk::none;
}

/// One catalogue, by oid, and what its types and functions are called on any server.
class Names {
 public:
  explicit Names(const OidCatalogue& catalogue) {
    types_.reserve(catalogue.types.size());
    for (const CatalogueType& type : catalogue.types) types_.emplace(type.oid, &type);
  }

  const CatalogueType* find(Oid oid) const {
    const auto found = types_.find(oid);
    return found == types_.end() ? nullptr : found->second;
  }

  /// Names cannot contain NUL, so keys of different things differ.
  std::string key(Oid oid, int chain = 0) const {
    const CatalogueType* type = oid < kFirstNormalOid ? nullptr : find(oid);
    if (type == nullptr || chain > kMaxChain) return "#" + std::to_string(oid);
    if (type->form == TypeForm::array) return "[]" + key(type->inner, chain + 1);
    if (type->form == TypeForm::multirange) return "{}" + key(type->inner, chain + 1);
    return qualified(type->schema, type->name);
  }

  std::string key(const CatalogueFunction& function) const {
    std::string text = qualified(function.schema, function.name);
    for (const Oid argument : function.arguments) text.append(1, '\0').append(key(argument));
    return text;
  }

 private:
  static std::string qualified(const std::string& schema, const std::string& name) {
    return std::string(schema).append(1, '\0').append(name);
  }

  std::unordered_map<Oid, const CatalogueType*> types_;
};

/// Which types' values are worth walking. What is undecided when it is needed again (a composite that holds
/// an array of itself) counts as worth it: that costs time only.
class DeepTypes {
 public:
  explicit DeepTypes(const Names& names) : names_(names) {}

  bool deep(Oid oid, int chain = 0) {
    if (oid < kFirstNormalOid) return built_in_shape(oid) != nullptr;
    const CatalogueType* type = names_.find(oid);
    if (type == nullptr) return false;
    if (chain > kMaxChain) return true;
    const auto [entry, is_new] = known_.emplace(oid, true);
    if (!is_new) return entry->second;
    const bool result = compute(*type, chain + 1);
    known_[oid] = result;
    return result;
  }

 private:
  bool compute(const CatalogueType& type, int chain) {
    switch (type.form) {
      case TypeForm::plain:
        return false;
      case TypeForm::array:
        return type.inner >= kFirstNormalOid || deep(type.inner, chain);
      case TypeForm::composite:
        return !type.attributes.empty();
      case TypeForm::domain:
      case TypeForm::range:
      case TypeForm::multirange:
        return deep(type.inner, chain);
    }
    return true;
  }

  const Names& names_;
  std::unordered_map<Oid, bool> known_;
};

std::unordered_map<Oid, TypeShape> shapes_of(const OidCatalogue& catalogue, const Names& names) {
  DeepTypes deep(names);
  std::unordered_map<Oid, TypeShape> shapes;
  shapes.reserve(catalogue.types.size());
  for (const CatalogueType& type : catalogue.types) {
    shapes.emplace(type.oid, TypeShape{0, walk_of(type.form), type.inner, deep.deep(type.oid)});
  }
  return shapes;
}

}  // namespace

OidMap::OidMap(const OidCatalogue& master, const OidCatalogue& standby) {
  pair_types(master, standby);
  pair_functions(master, standby);
}

void OidMap::pair_types(const OidCatalogue& master, const OidCatalogue& standby) {
  const Names master_names(master);
  const Names standby_names(standby);
  master_types_ = shapes_of(master, master_names);
  standby_types_ = shapes_of(standby, standby_names);
  std::unordered_map<std::string, Oid> by_key;
  by_key.reserve(standby.types.size());
  for (const CatalogueType& type : standby.types) by_key.emplace(standby_names.key(type.oid), type.oid);
  for (const CatalogueType& type : master.types) {
    const auto found = by_key.find(master_names.key(type.oid));
    empty_ = empty_ && found != by_key.end() && found->second == type.oid;
    if (found == by_key.end()) continue;
    master_types_[type.oid].other = found->second;
    standby_types_[found->second].other = type.oid;
  }
}

void OidMap::pair_functions(const OidCatalogue& master, const OidCatalogue& standby) {
  const Names master_names(master);
  const Names standby_names(standby);
  std::unordered_map<std::string, Oid> by_key;
  by_key.reserve(standby.functions.size());
  for (const CatalogueFunction& function : standby.functions) {
    by_key.emplace(standby_names.key(function), function.oid);
  }
  master_functions_.reserve(master.functions.size());
  for (const CatalogueFunction& function : master.functions) {
    const auto found = by_key.find(master_names.key(function));
    const Oid other = found == by_key.end() ? 0 : found->second;
    empty_ = empty_ && other == function.oid;
    master_functions_.emplace(function.oid, Function{other, function.arguments});
    if (other != 0) standby_functions_.emplace(other, function.oid);
  }
}

const TypeShape* OidMap::shape(OidSide side, Oid type) const {
  if (type < kFirstNormalOid) return built_in_shape(type);
  const Shapes& shapes = side == OidSide::master ? master_types_ : standby_types_;
  const auto found = shapes.find(type);
  return found == shapes.end() ? nullptr : &found->second;
}

Oid OidMap::translate(OidSide from, OidKind kind, Oid oid) const {
  if (oid < kFirstNormalOid) return oid;
  if (kind == OidKind::type) {
    const TypeShape* known = shape(from, oid);
    return known == nullptr ? 0 : known->other;
  }
  if (from == OidSide::master) {
    const auto found = master_functions_.find(oid);
    return found == master_functions_.end() ? 0 : found->second.other;
  }
  const auto found = standby_functions_.find(oid);
  return found == standby_functions_.end() ? 0 : found->second;
}

const std::vector<Oid>* OidMap::arguments_on_master(Oid function) const {
  const auto found = master_functions_.find(function);
  return found == master_functions_.end() ? nullptr : &found->second.arguments;
}

}  // namespace pgtandem
