#include "server-relay/statements/statement-catalogue.h"

namespace pgtandem {

// The limits are kMaxRows + 1, so that one too many is seen.

const char* const kStatementFunctionsSql =
    "SELECT n.nspname, p.proname, "
    "max(CASE WHEN p.provolatile = 'v' OR part.oid IS NOT NULL THEN 'v' ELSE 's' END), "
    "bool_or(p.provolatile = 'v' AND p.pronargs >= 1 AND p.pronargs - p.pronargdefaults <= 1 "
    "AND t.typtype IN ('c', 'd', 'p')) "
    "FROM pg_catalog.pg_proc p "
    "JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace "
    "LEFT JOIN pg_catalog.pg_type t ON t.oid = p.proargtypes[0] "
    "LEFT JOIN pg_catalog.pg_aggregate a ON a.aggfnoid = p.oid "
    "LEFT JOIN LATERAL (SELECT q.oid FROM pg_catalog.pg_proc q WHERE q.provolatile = 'v' AND q.oid IN "
    "(a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, "
    "a.aggminvtransfn, a.aggmfinalfn) LIMIT 1) part ON a.aggfnoid IS NOT NULL "
    "WHERE p.prokind <> 'p' GROUP BY n.nspname, p.proname LIMIT 1000001";

// An operator class may hold functions that no operator of a query names.
const char* const kStatementOperatorsSql =
    "SELECT DISTINCT n.nspname::text, o.oprname::text FROM pg_catalog.pg_operator o "
    "JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode "
    "JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace WHERE p.provolatile = 'v' "
    "UNION ALL SELECT '', '' WHERE EXISTS (SELECT FROM pg_catalog.pg_amop a "
    "JOIN pg_catalog.pg_operator o ON o.oid = a.amopopr JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode "
    "WHERE p.provolatile = 'v') "
    "OR EXISTS (SELECT FROM pg_catalog.pg_amproc a JOIN pg_catalog.pg_proc p ON p.oid = a.amproc "
    "WHERE p.provolatile = 'v') LIMIT 1000001";

const char* const kStatementTypesSql =
    "SELECT n.nspname, t.typname, CASE c.castcontext WHEN 'i' THEN 'i' ELSE 'c' END, '' "
    "FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_proc p ON p.oid = c.castfunc "
    "JOIN pg_catalog.pg_type t ON t.oid = c.casttarget JOIN pg_catalog.pg_namespace n ON n.oid = "
    "t.typnamespace "
    "WHERE p.provolatile = 'v' "
    "UNION ALL SELECT n.nspname, t.typname, 'd', pg_catalog.pg_get_expr(k.conbin, 0) "
    "FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_type t ON t.oid = k.contypid "
    "JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE k.contype = 'c' LIMIT 1000001";

// What a child does, its ancestors do. Cascading foreign keys change the referencing table, whose triggers
// run.
const char* const kStatementRelationsSql =
    "WITH RECURSIVE tree(root, member) AS (SELECT inhparent, inhrelid FROM pg_catalog.pg_inherits "
    "UNION SELECT t.root, i.inhrelid FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.member), "
    "acting(oid) AS (SELECT tgrelid FROM pg_catalog.pg_trigger WHERE NOT tgisinternal "
    "UNION SELECT ev_class FROM pg_catalog.pg_rewrite WHERE ev_type <> '1' "
    "UNION SELECT confrelid FROM pg_catalog.pg_constraint WHERE contype = 'f' "
    "AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd'))), "
    "acting_tree(oid) AS (SELECT oid FROM acting UNION SELECT t.root FROM tree t JOIN acting a ON a.oid = "
    "t.member), "
    "foreign_tree(oid) AS (SELECT t.root FROM tree t JOIN pg_catalog.pg_class f ON f.oid = t.member "
    "WHERE f.relkind = 'f') "
    "SELECT n.nspname, c.relname, "
    "CASE WHEN c.relkind IN ('f', 'c', 'i', 't') OR c.relrowsecurity OR c.oid IN (SELECT oid FROM "
    "foreign_tree) "
    "THEN 'u' ELSE c.relkind::text END, "
    "CASE WHEN c.relkind = 'v' OR c.oid IN (SELECT oid FROM acting_tree) THEN 't' ELSE 'f' END, "
    "CASE WHEN c.relkind = 'v' THEN pg_catalog.pg_get_viewdef(c.oid) ELSE '' END "
    "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'p', 'm', 'S', 'I', 'v', 'f') LIMIT 1000001";

// Only objects that users make; the sum of their rows' versions. A dropped and a made object change it too.
const char* const kStatementCatalogueVersionSql =
    "SELECT pg_catalog.concat_ws(' ', "
    "(SELECT pg_catalog.concat_ws(',', count(*), sum(xmin::text::int8), sum(oid::int8)) FROM "
    "pg_catalog.pg_proc "
    "WHERE oid >= 16384), "
    "(SELECT pg_catalog.concat_ws(',', count(*), sum(xmin::text::int8), sum(oid::int8)) "
    "FROM pg_catalog.pg_operator WHERE oid >= 16384), "
    "(SELECT pg_catalog.concat_ws(',', count(*), sum(xmin::text::int8), sum(oid::int8)) FROM "
    "pg_catalog.pg_cast "
    "WHERE oid >= 16384), "
    "(SELECT pg_catalog.concat_ws(',', count(*), sum(xmin::text::int8), sum(oid::int8)) "
    "FROM pg_catalog.pg_constraint), "
    "(SELECT pg_catalog.concat_ws(',', count(*), sum(xmin::text::int8), sum(oid::int8)) "
    "FROM pg_catalog.pg_trigger), "
    "(SELECT pg_catalog.concat_ws(',', count(*), sum(xmin::text::int8), sum(oid::int8)) "
    "FROM pg_catalog.pg_rewrite), "
    "(SELECT pg_catalog.concat_ws(',', count(*), sum(xmin::text::int8), sum(inhrelid::int8)) "
    "FROM pg_catalog.pg_inherits), "
    "(SELECT pg_catalog.concat_ws(',', count(*), sum(xmin::text::int8), sum(oid::int8)) "
    "FROM pg_catalog.pg_namespace), "
    "(SELECT pg_catalog.concat_ws(',', count(*), sum(oid::int8), "
    "sum(pg_catalog.hashtext(relname || ' ' || relnamespace || relrowsecurity)::int8)) "
    "FROM pg_catalog.pg_class WHERE oid >= 16384 AND relkind IN ('r', 'p', 'm', 'S', 'I', 'v', 'f')))";

}  // namespace pgtandem
