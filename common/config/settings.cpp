#include "common/config/settings.h"

namespace pgtandem {

Discipline RelaySettings::discipline_of(std::string_view database, std::string_view role) const {
  for (const DisciplineRule& rule : discipline_for) {
    if ((rule.database == "*" || rule.database == database) && (rule.role == "*" || rule.role == role))
      return rule.discipline;
  }
  return discipline;
}

}  // namespace pgtandem
