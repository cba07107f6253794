/// A small catalogue made by hand, and statements as one line of words.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "server-relay/statements/classify.h"

namespace pgtandem::testing {

/// Functions: those of PostgreSQL's own that the cases use; pure, writes (volatile), touch (volatile, takes a
/// row), twice (volatile in one of two schemas). Relations: t, "T 1", pg_class, m, q (sequence), p
/// (partitioned) with its index p_index; audited (a trigger); guarded (row security); away (foreign); twin (a
/// table, and in another schema a bad view); good, deep (views that read), bad, deep_bad (that call nextval).
/// The domain `positive` has a check.
std::shared_ptr<const StatementCatalogue> small_catalogue();
/// The same with a domain whose check calls writes().
std::shared_ptr<const StatementCatalogue> catalogue_with_writing_domain();
/// The same with a volatile operator ~~~; `implicit` adds an index operator class that holds one.
std::shared_ptr<const StatementCatalogue> catalogue_with_volatile_operator(bool implicit);

/// The kind and what else is set, such as "write seq name=x [LIMIT without ORDER BY; now]".
std::string summary(const Statement& statement);

}  // namespace pgtandem::testing
