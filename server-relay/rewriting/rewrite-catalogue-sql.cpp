#include "server-relay/rewriting/rewrite-catalogue.h"

namespace pgtandem {

// Too many arguments for any call stand for VARIADIC.
const char* const kRewriteFunctionsSql =
    "SELECT p.proname, n.nspname, p.pronargs - p.pronargdefaults, "
    "CASE WHEN p.provariadic <> 0 THEN 1000 ELSE p.pronargs END, "
    "n.nspname = 'pg_catalog' OR (l.lanname = 'c' AND NOT p.proretset "
    "AND p.prorettype = 'pg_catalog.uuid'::pg_catalog.regtype) "
    "FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace "
    "JOIN pg_catalog.pg_language l ON l.oid = p.prolang "
    "WHERE p.proname IN ('now', 'transaction_timestamp', 'statement_timestamp', 'clock_timestamp', "
    "'timeofday', 'random', 'random_normal', 'gen_random_uuid', 'uuidv4', 'uuidv7', 'uuid_generate_v1', "
    "'uuid_generate_v1mc', 'uuid_generate_v4') AND p.prokind <> 'p'";

// The pattern lets more pass than has a source: the parser judges. A domain's default counts where its column
// has none; generated and identity columns never do.
const char* const kRewriteColumnsSql =
    "WITH candidate AS (SELECT a.attrelid, a.attnum, e.sql FROM pg_catalog.pg_class c "
    "JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid "
    "JOIN pg_catalog.pg_type t ON t.oid = a.atttypid "
    "LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
    "CROSS JOIN LATERAL (SELECT CASE WHEN d.oid IS NOT NULL "
    "THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) "
    "ELSE pg_catalog.pg_get_expr(t.typdefaultbin, 0) END AS sql) e "
    "WHERE c.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped "
    "AND a.attgenerated = '' AND a.attidentity = '' "
    "AND (d.oid IS NOT NULL OR t.typdefaultbin IS NOT NULL) AND e.sql ~* "
    "'now|timestamp|current_|localtime|timeofday|random|uuid|today|tomorrow|yesterday|age'), "
    "above AS (SELECT r.ev_class AS oid FROM pg_catalog.pg_depend p "
    "JOIN pg_catalog.pg_rewrite r ON r.oid = p.objid JOIN pg_catalog.pg_class v ON v.oid = r.ev_class "
    "WHERE p.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND v.relkind = 'v' "
    "AND p.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass "
    "AND p.refobjid IN (SELECT attrelid FROM candidate)) "
    "SELECT n.nspname, c.relname, "
    "CASE WHEN c.oid IN (SELECT oid FROM above) THEN 'v' "
    "WHEN c.relkind IN ('r', 'p') AND NOT c.relhasrules AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute "
    "g "
    "WHERE g.attrelid = c.oid AND g.attacl IS NOT NULL) "
    "THEN 't' ELSE 'f' END, "
    "a.attname, k.sql FROM pg_catalog.pg_class c "
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
    "AND EXISTS (SELECT FROM candidate x WHERE x.attrelid = c.oid) "
    "LEFT JOIN candidate k ON k.attrelid = a.attrelid AND k.attnum = a.attnum "
    "WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S') AND c.relname IN (SELECT o.relname FROM "
    "pg_catalog.pg_class o WHERE EXISTS (SELECT FROM candidate x WHERE x.attrelid = o.oid) "
    "OR o.oid IN (SELECT oid FROM above)) "
    "ORDER BY c.oid, a.attnum LIMIT 1000001";

const char* const kRewriteCatalogueVersionSql =
    "SELECT pg_catalog.concat_ws(' ', "
    "(SELECT pg_catalog.concat_ws(',', count(*), sum(xmin::text::int8), sum(oid::int8)) "
    "FROM pg_catalog.pg_attrdef), "
    "(SELECT pg_catalog.concat_ws(',', count(*), sum(xmin::text::int8), sum(oid::int8)) "
    "FROM pg_catalog.pg_type WHERE typdefaultbin IS NOT NULL), "
    "(SELECT pg_catalog.concat_ws(',', count(*), sum(xmin::text::int8)) FROM pg_catalog.pg_attribute "
    "WHERE attrelid >= 16384 AND (attacl IS NOT NULL OR attnum > 0)), "
    "(SELECT pg_catalog.concat_ws(',', count(*), sum(xmin::text::int8), sum(oid::int8)) "
    "FROM pg_catalog.pg_proc WHERE oid >= 16384), "
    "(SELECT pg_catalog.concat_ws(',', count(*), sum(xmin::text::int8), sum(oid::int8)) "
    "FROM pg_catalog.pg_rewrite), "
    "(SELECT pg_catalog.concat_ws(',', count(*), sum(oid::int8), "
    "sum(pg_catalog.hashtext(relname || ' ' || relnamespace)::int8)) "
    "FROM pg_catalog.pg_class WHERE oid >= 16384 AND relkind IN ('r', 'p', 'f', 'v', 'm', 'S')))";

}  // namespace pgtandem
