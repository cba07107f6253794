/// What is known of PostgreSQL's own functions beyond their declared volatility.
#pragma once
#include <string_view>

namespace pgtandem {

/// Declared volatile because its answer changes within a statement, yet it writes nothing and takes no lock.
bool is_harmless_volatile(std::string_view name);
/// Changes this session's settings alone: what SET does.
bool changes_session_only(std::string_view name);
/// Declared stable, yet it reads relations that only its arguments' values name, views included.
bool runs_given_query(std::string_view name);
/// Why two servers may get different values from it, as Statement::flags shows it; empty where they do not.
std::string_view divergence_of_function(std::string_view name);
/// An aggregate whose result depends on the order of its rows.
bool is_order_dependent(std::string_view name);
/// A window function that is nothing without ORDER BY.
bool is_order_window(std::string_view name);
bool is_session_advisory_lock(std::string_view name);
bool makes_large_object(std::string_view name);

}  // namespace pgtandem
