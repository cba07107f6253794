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

// Left out: partitions and tables with children (a key does not hold for all of them), row security, deferred
// keys (their conflicts show late), and tables whose constraints, or whose columns' types however deep, run a
// function that is not immutable. Functions of PostgreSQL's own have no dependencies: those that look at more
// than their arguments are found by their names.
// A key counts where `=` finds no two rows: it is of types and operator classes of PostgreSQL's own, and of
// the column's collation, or that is deterministic; and nobody has made an = or an implicit cast of its own
// for such types (enums included, whose casts may take two labels for one). Nothing is plain where an
// operator or a cast in SQL or PL/pgSQL may read.
const char* const kStatementRowKeysSql =
    "WITH RECURSIVE reads(regexp) AS (VALUES "
    "('nextval|setval|currval|lastval|advisory|_to_xml|ts_stat|ts_rewrite|lo_|pg_sequence')), "
    "calling(classid, objid) AS (SELECT d.classid, d.objid FROM pg_catalog.pg_depend d "
    "JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid WHERE d.refclassid = 'pg_catalog.pg_proc'::regclass "
    "AND p.provolatile <> 'i' "
    "UNION SELECT d.classid, d.objid FROM pg_catalog.pg_depend d "
    "JOIN pg_catalog.pg_operator o ON o.oid = d.refobjid JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode "
    "WHERE d.refclassid = 'pg_catalog.pg_operator'::regclass AND p.provolatile <> 'i' "
    "UNION SELECT 'pg_catalog.pg_constraint'::regclass, k.oid FROM pg_catalog.pg_constraint k, reads r "
    "WHERE k.contype = 'c' AND pg_catalog.pg_get_expr(k.conbin, k.conrelid) ~ r.regexp "
    "UNION SELECT 'pg_catalog.pg_attrdef'::regclass, f.oid FROM pg_catalog.pg_attrdef f, reads r "
    "WHERE pg_catalog.pg_get_expr(f.adbin, f.adrelid) ~ r.regexp), "
    "checked(relid, typid) AS (SELECT k.conrelid, k.contypid FROM pg_catalog.pg_constraint k "
    "JOIN calling c ON c.classid = 'pg_catalog.pg_constraint'::regclass AND c.objid = k.oid), "
    "casting(classid, objid, typid) AS (SELECT classid, objid, refobjid FROM pg_catalog.pg_depend "
    "WHERE refclassid = 'pg_catalog.pg_type'::regclass AND refobjid >= 16384 "
    "AND classid IN ('pg_catalog.pg_constraint'::regclass, 'pg_catalog.pg_attrdef'::regclass)), "
    "parts(typid, part) AS (SELECT oid, typbasetype FROM pg_catalog.pg_type WHERE typtype = 'd' "
    "UNION ALL SELECT oid, typelem FROM pg_catalog.pg_type WHERE typelem <> 0 "
    "UNION ALL SELECT rngtypid, rngsubtype FROM pg_catalog.pg_range "
    "UNION ALL SELECT c.reltype, a.atttypid FROM pg_catalog.pg_class c "
    "JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid WHERE c.oid >= 16384 AND c.reltype <> 0 "
    "AND a.attnum > 0 "
    "UNION ALL SELECT k.contypid, c.typid FROM casting c JOIN pg_catalog.pg_constraint k "
    "ON c.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = c.objid WHERE k.contypid <> 0), "
    // pg_range names multiranges since PostgreSQL 14 alone.
    "checking(typid) AS (SELECT typid FROM checked WHERE typid <> 0 "
    "UNION SELECT oid FROM pg_catalog.pg_type WHERE oid >= 16384 AND typtype = 'm' "
    "UNION SELECT p.typid FROM parts p JOIN checking c ON c.typid = p.part), "
    "keys(relid, names) AS (SELECT i.indrelid, "
    "(SELECT pg_catalog.string_agg(a.attname, E'\t') FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) n "
    "JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[n] "
    "JOIN pg_catalog.pg_type t ON t.oid = a.atttypid "
    "JOIN pg_catalog.pg_opclass o ON o.oid = i.indclass[n] "
    "LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation "
    "HAVING pg_catalog.bool_and(a.attname !~ E'[\t\n]' AND o.oid < 16384 AND o.opcdefault "
    "AND (t.oid < 16384 OR t.typtype = 'e' OR (t.typtype = 'd' AND t.typbasetype < 16384)) "
    "AND (i.indcollation[n] = a.attcollation OR COALESCE(l.collisdeterministic, true)))) "
    "FROM pg_catalog.pg_index i WHERE i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS "
    "NULL AND i.indexprs IS NULL "
    "AND NOT EXISTS (SELECT FROM pg_catalog.pg_operator o LEFT JOIN pg_catalog.pg_type t "
    "ON t.oid IN (o.oprleft, o.oprright) AND t.typtype = 'e' WHERE o.oid >= 16384 AND o.oprname = '=' "
    "AND (o.oprleft < 16384 OR o.oprright < 16384 OR t.oid IS NOT NULL)) "
    "AND NOT EXISTS (SELECT FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_type t ON t.oid = c.castsource "
    "WHERE c.oid >= 16384 AND c.castcontext = 'i' AND c.casttarget < 16384 "
    "AND (c.castsource < 16384 OR (t.typtype = 'e' AND c.castmethod = 'f')))) "
    "SELECT n.nspname, c.relname, "
    "CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attidentity <> "
    "'') "
    "OR EXISTS (SELECT FROM pg_catalog.pg_attrdef f JOIN calling g "
    "ON g.classid = 'pg_catalog.pg_attrdef'::regclass AND g.objid = f.oid WHERE f.adrelid = c.oid) "
    "OR EXISTS (SELECT FROM pg_catalog.pg_attrdef f JOIN casting g ON g.classid = "
    "'pg_catalog.pg_attrdef'::regclass AND g.objid = f.oid JOIN checking k ON k.typid = g.typid "
    "WHERE f.adrelid = c.oid) "
    "OR EXISTS (SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid "
    "WHERE a.attrelid = c.oid AND a.attnum > 0 AND t.typtype = 'd' AND t.typdefault IS NOT NULL) "
    "THEN 'f' ELSE 't' END, "
    "COALESCE((SELECT pg_catalog.string_agg(k.names, E'\n') FROM keys k WHERE k.relid = c.oid), ''), "
    "CASE WHEN (SELECT pg_catalog.count(*) FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid "
    "AND (i.indisunique OR i.indisexclusion)) = (SELECT pg_catalog.count(k.names) FROM keys k "
    "WHERE k.relid = c.oid) AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid "
    "AND a.attnum > 0 AND a.attgenerated <> '') THEN 't' ELSE 'f' END "
    "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.oid >= 16384 AND c.relkind = 'r' AND NOT c.relhassubclass AND NOT c.relispartition "
    "AND NOT c.relrowsecurity AND c.oid NOT IN (SELECT relid FROM checked) "
    "AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid) "
    "AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND NOT i.indimmediate) "
    "AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a JOIN checking k ON k.typid = a.atttypid "
    "WHERE a.attrelid = c.oid AND a.attnum > 0) "
    "AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint r JOIN casting g ON g.classid = "
    "'pg_catalog.pg_constraint'::regclass AND g.objid = r.oid JOIN checking k ON k.typid = g.typid "
    "WHERE r.conrelid = c.oid) "
    "AND NOT EXISTS (SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang "
    "WHERE p.provolatile <> 'i' AND l.lanname NOT IN ('internal', 'c') "
    "AND (p.oid IN (SELECT o.oprcode FROM pg_catalog.pg_operator o WHERE o.oid >= 16384) "
    "OR p.oid IN (SELECT s.amproc FROM pg_catalog.pg_amproc s WHERE s.oid >= 16384) "
    "OR p.oid IN (SELECT c.castfunc FROM pg_catalog.pg_cast c WHERE c.oid >= 16384))) LIMIT 1000001";

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
    "(SELECT pg_catalog.concat_ws(',', count(*), sum(xmin::text::int8), sum(indexrelid::int8)) "
    "FROM pg_catalog.pg_index WHERE indisunique), "
    "(SELECT pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat_ws(' ', a.attrelid, a.attname, a.atttypid, "
    "a.attcollation))::int8) FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a "
    "ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) WHERE i.indisunique AND i.indrelid >= 16384), "
    "(SELECT pg_catalog.concat_ws(',', count(*), sum(xmin::text::int8), sum(oid::int8)) "
    "FROM pg_catalog.pg_type WHERE oid >= 16384 AND typtype = 'd'), "
    "(SELECT pg_catalog.concat_ws(',', count(*), sum(d.objid::int8 * 1600 + d.objsubid)) "
    "FROM pg_catalog.pg_type t JOIN pg_catalog.pg_depend d "
    "ON d.refclassid = 'pg_catalog.pg_type'::regclass AND d.refobjid = t.oid "
    "WHERE t.oid >= 16384), "
    "(SELECT pg_catalog.concat_ws(',', count(*), sum(xmin::text::int8), sum(oid::int8)) "
    "FROM pg_catalog.pg_attrdef), "
    "(SELECT pg_catalog.concat_ws(',', count(*), sum(oid::int8), "
    "sum(pg_catalog.hashtext(relname || ' ' || relnamespace || relrowsecurity)::int8)) "
    "FROM pg_catalog.pg_class WHERE oid >= 16384 AND relkind IN ('r', 'p', 'm', 'S', 'I', 'v', 'f')))";

}  // namespace pgtandem
