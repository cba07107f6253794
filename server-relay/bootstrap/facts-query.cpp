#include "server-relay/bootstrap/facts.h"

namespace pgtandem::bootstrap {
namespace {

// In the session search_path is pg_catalog alone.

constexpr const char* kServer = R"(
SELECT current_setting('server_version_num'),
       (SELECT system_identifier::text FROM pg_control_system()),
       extract(epoch FROM pg_postmaster_start_time())::text,
       current_setting('data_directory'),
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
       pg_is_in_recovery(),
       (SELECT count(*) FROM pg_prepared_xacts),
       txid_snapshot_xmax(txid_current_snapshot()))";

constexpr const char* kSuperuser = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user";

constexpr const char* kRoles = R"(
SELECT rolname,
       encode(sha256(convert_to(concat_ws('|', rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin,
              rolreplication, rolbypassrls, rolconnlimit, coalesce(rolpassword, '-'),
              coalesce(extract(epoch FROM nullif(rolvaliduntil, 'infinity'))::text, '-')), 'UTF8')), 'hex'),
       rolvaliduntil IS NOT NULL, oid = 10
FROM pg_authid WHERE rolname !~ '^pg_')";

constexpr const char* kMemberships = R"(
SELECT r.rolname, m.rolname, coalesce(g.rolname, '')
FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
     LEFT JOIN pg_roles g ON g.oid = a.grantor WHERE m.rolname !~ '^pg_')";

constexpr const char* kTablespaces =
    "SELECT spcname, pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname NOT IN ('pg_default', "
    "'pg_global')";

constexpr const char* kCollations = R"(
SELECT DISTINCT ON (collname) collname, coalesce(collversion, '') FROM pg_collation
WHERE collnamespace = 'pg_catalog'::regnamespace ORDER BY collname)";

/// Every named object that a dump carries and no extension owns, by kind: cheap, and a piece that is missing
/// shows. Left out is what versions count differently: NOT NULL constraints, and the copies that partitions
/// get.
constexpr const char* kCounts = R"(
WITH own_schema AS (
  SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
member AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
extension_table AS (SELECT objid AS oid FROM member WHERE classid = 'pg_class'::regclass)
SELECT 'relations of kind ' || relkind::text, count(*) FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid
 WHERE relnamespace IN (SELECT oid FROM own_schema) AND coalesce(i.indrelid, c.oid) NOT IN (SELECT oid FROM extension_table)
 GROUP BY 1
UNION ALL SELECT 'columns', count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
 WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
   AND relnamespace IN (SELECT oid FROM own_schema) AND c.oid NOT IN (SELECT oid FROM extension_table)
UNION ALL SELECT 'constraints', count(*) FROM pg_constraint
 WHERE contype <> 'n' AND conparentid = 0 AND connamespace IN (SELECT oid FROM own_schema) AND conrelid NOT IN (SELECT oid FROM extension_table)
   AND oid NOT IN (SELECT objid FROM member WHERE classid = 'pg_constraint'::regclass)
   AND contypid NOT IN (SELECT objid FROM member WHERE classid = 'pg_type'::regclass)
UNION ALL SELECT 'functions', count(*) FROM pg_proc
 WHERE pronamespace IN (SELECT oid FROM own_schema) AND oid NOT IN (SELECT objid FROM member WHERE classid = 'pg_proc'::regclass)
UNION ALL SELECT 'enum labels', count(*) FROM pg_enum WHERE enumtypid NOT IN (SELECT objid FROM member WHERE classid = 'pg_type'::regclass)
UNION ALL SELECT 'triggers', count(*) FROM pg_trigger t
 WHERE NOT tgisinternal AND coalesce((to_jsonb(t)->>'tgparentid')::bigint, 0) = 0 AND tgrelid NOT IN (SELECT oid FROM extension_table)
UNION ALL SELECT 'policies', count(*) FROM pg_policy
UNION ALL SELECT 'rules', count(*) FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
 WHERE c.relnamespace IN (SELECT oid FROM own_schema) AND c.oid NOT IN (SELECT oid FROM extension_table)
UNION ALL SELECT 'large objects', count(*) FROM pg_largeobject_metadata)";

constexpr const char* kTableBytes = R"(
SELECT coalesce(sum(pg_table_size(oid)), 0)::bigint FROM pg_class
WHERE relkind IN ('r', 'm') AND relnamespace <> 'pg_catalog'::regnamespace
   OR oid = 'pg_largeobject'::regclass)";

constexpr const char* kSequences = R"(
SELECT quote_ident(schemaname) || '.' || quote_ident(sequencename), coalesce(last_value::text, 'not called') FROM pg_sequences
WHERE format('%I.%I', schemaname, sequencename)::regclass NOT IN
      (SELECT objid FROM pg_depend WHERE classid = 'pg_class'::regclass AND deptype = 'e'))";

constexpr const char* kUsedCollations = R"(
SELECT DISTINCT c.collname FROM pg_attribute a JOIN pg_class r ON r.oid = a.attrelid
       JOIN pg_collation c ON c.oid = a.attcollation
WHERE c.collnamespace = 'pg_catalog'::regnamespace AND r.relnamespace <> 'pg_catalog'::regnamespace
      AND r.relnamespace <> 'information_schema'::regnamespace AND c.collname NOT IN ('default', 'C', 'POSIX', 'ucs_basic'))";

/// The locale columns have changed their names twice.
std::string databases_sql(int version) {
  const char* provider = version >= 150000 ? "datlocprovider::text" : "'c'";
  const char* recorded = version >= 150000 ? "coalesce(datcollversion, '')" : "''";
  return std::string(R"(
SELECT datname, pg_encoding_to_char(encoding), CASE )") +
         provider +
         R"( WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' ELSE 'builtin' END, datcollate, datctype, )" +
         recorded + R"(, datallowconn, datistemplate, pg_database_size(oid)
FROM pg_database WHERE datname <> 'template0' ORDER BY datname = 'postgres' DESC, datname)";
}

bool truth(const std::optional<std::string>& value) {
  return value == "t";
}

std::uint64_t number(const std::string& text) {
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') break;
    value = value * 10 + std::uint64_t(c - '0');
  }
  return value;
}

/// Runs a query and gives each row to `take`; the first error of several queries stays.
class Asking {
 public:
  explicit Asking(PgSession& session) : session_(session) {}

  template <typename Take>
  void each(const std::string& sql, Take take) {
    if (!error_.ok()) return;
    const Result<std::vector<PgRow>> rows = session_.query(sql);
    if (!rows) {
      error_ = Error{rows.error()};
      return;
    }
    for (const PgRow& row : *rows) take(row);
  }
  std::map<std::string, std::string> pairs(const std::string& sql) {
    std::map<std::string, std::string> out;
    each(sql, [&](const PgRow& row) { out[row[0].value_or("")] = row[1].value_or(""); });
    return out;
  }
  const Result<void>& outcome() const { return error_; }

 private:
  PgSession& session_;
  Result<void> error_;
};

Result<void> ask_database(const PgLogin& login, DatabaseFacts& facts) {
  Result<PgSession> session = PgSession::open(login, facts.name);
  if (!session) return Error{session.error()};
  Asking ask(*session);
  ask.each(kCounts,
           [&](const PgRow& row) { facts.counts[*row[0]] = std::int64_t(number(row[1].value_or("0"))); });
  ask.each(kTableBytes, [&](const PgRow& row) { facts.table_bytes = number(row[0].value_or("0")); });
  ask.each(kUsedCollations, [&](const PgRow& row) { facts.collations.insert(row[0].value_or("")); });
  ask.each(
      "SELECT subname FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = "
      "current_database())",
      [&](const PgRow& row) { facts.subscriptions.push_back(row[0].value_or("")); });
  facts.sequences = ask.pairs(kSequences);
  facts.extensions = ask.pairs("SELECT extname, extversion FROM pg_extension");
  if (ask.outcome()) return {};
  return Error{"database '" + facts.name + "' at " + to_string(login.server) + ": " + ask.outcome().error()};
}

DatabaseFacts database_row(const PgRow& row) {
  DatabaseFacts facts;
  facts.name = row[0].value_or("");
  facts.encoding = row[1].value_or("");
  facts.provider = row[2].value_or("");
  facts.collate = row[3].value_or("");
  facts.ctype = row[4].value_or("");
  facts.collation_version = row[5].value_or("");
  facts.allows_connections = truth(row[6]);
  facts.is_template = truth(row[7]);
  facts.bytes = number(row[8].value_or("0"));
  return facts;
}

void server_row(const PgRow& row, ServerFacts& facts) {
  facts.server_version = int(number(row[0].value_or("0")));
  facts.system_identifier = row[1].value_or("");
  facts.started = row[2].value_or("");
  facts.data_directory = row[3].value_or("");
  facts.superuser = truth(row[4]);
  facts.in_recovery = truth(row[5]);
  facts.prepared_transactions = std::int64_t(number(row[6].value_or("0")));
  facts.next_transaction = row[7].value_or("");
}

Result<void> ask_server(PgSession& session, ServerFacts& facts) {
  Asking ask(session);
  ask.each(kServer, [&](const PgRow& row) { server_row(row, facts); });
  ask.each(kRoles, [&](const PgRow& row) {
    facts.roles[*row[0]] = RoleFacts{row[1].value_or(""), truth(row[2]), truth(row[3])};
  });
  ask.each(kMemberships, [&](const PgRow& row) {
    facts.memberships.push_back({*row[0], *row[1], row[2].value_or("")});
  });
  facts.tablespaces = ask.pairs(kTablespaces);
  facts.available_extensions = ask.pairs("SELECT name, default_version FROM pg_available_extensions");
  facts.available_collations = ask.pairs(kCollations);
  ask.each("SELECT slot_name FROM pg_replication_slots",
           [&](const PgRow& row) { facts.replication_slots.push_back(row[0].value_or("")); });
  ask.each(databases_sql(session.version()),
           [&](const PgRow& row) { facts.databases.push_back(database_row(row)); });
  return ask.outcome();
}

}  // namespace

Result<ServerFacts> query_server_facts(const PgLogin& login) {
  ServerFacts facts;
  facts.tool_version = PGTANDEM_VERSION;
  // template1: the one database that nobody drops, not even this program.
  Result<PgSession> session = PgSession::open(login, "template1");
  if (!session) return Error{session.error()};
  const Result<std::string> superuser = session->value(kSuperuser);
  if (!superuser) return Error{superuser.error()};
  if (*superuser != "t") {
    return Error{"role '" + login.user + "' is no superuser on the server at " + to_string(login.server) +
                 "; run there: ALTER ROLE \"" + login.user + "\" SUPERUSER"};
  }
  const Result<void> asked = ask_server(*session, facts);
  if (!asked) return Error{"the server at " + to_string(login.server) + " says: " + asked.error()};
  for (DatabaseFacts& database : facts.databases) {
    if (!database.allows_connections) continue;
    const Result<void> done = ask_database(login, database);
    if (!done) return Error{done.error()};
  }
  return facts;
}

}  // namespace pgtandem::bootstrap
