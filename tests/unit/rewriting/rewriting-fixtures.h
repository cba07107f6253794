/// A small catalogue made by hand, and rewritten texts with values that are easy to read.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "server-relay/rewriting/rewrite.h"

namespace pgtandem::testing {

/// Functions: PostgreSQL's own; public.uuid_generate_v4() of an extension; public.timeofday(), which is a
/// user's. Tables:
///   t (id, at DEFAULT now(), note)                        log (line, at DEFAULT CURRENT_TIMESTAMP)
///   v (id DEFAULT gen_random_uuid(), at DEFAULT clock_timestamp(), n)
///   "Odd" ("a ""b", day DEFAULT CURRENT_DATE)             seq (id DEFAULT nextval() || now(), n)
///   granted (id, at DEFAULT now()), with a grant on a column
///   strange (id, at DEFAULT ('now'::text)::timestamp)     twin, in public and in other; seen, a view
std::shared_ptr<const RewriteCatalogue> small_catalogue();

RewritePlan plan_of(std::string_view sql, RewriteClasses classes = {});
/// The text with the values '<1>', '<2>' and so on, by their number; what stays behind it in [], if any.
std::string rewritten(std::string_view sql, RewriteClasses classes = {});
/// The same with parameters; as many declared as the text has.
std::string with_parameters(std::string_view sql);

}  // namespace pgtandem::testing
