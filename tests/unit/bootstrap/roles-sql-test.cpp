#include "server-relay/bootstrap/roles-sql.h"

#include <catch2/catch.hpp>

#include "server-relay/bootstrap/sql-text.h"

using namespace pgtandem::bootstrap;

namespace {

// As pg_dumpall 15 --globals-only --quote-all-identifiers writes it, with the awkward cases that it can
// contain.
constexpr const char* kDump = R"(--
-- PostgreSQL database cluster dump
--

\restrict abcdef

SET default_transaction_read_only = off;
SET client_encoding = 'UTF8';

--
-- Roles
--

CREATE ROLE "alice";
ALTER ROLE "alice" WITH NOSUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:c2FsdA==$stored:server' VALID UNTIL '2030-01-01';
COMMENT ON ROLE "alice" IS 'says: CREATE ROLE "ghost"; -- it''s only text
over two lines';
CREATE ROLE "o""dd;role";
ALTER ROLE "o""dd;role" WITH NOLOGIN;
CREATE ROLE "postgres";
ALTER ROLE "postgres" WITH SUPERUSER LOGIN;

--
-- User Configurations
--

ALTER ROLE "alice" SET "search_path" TO E'a\\b', 'c;d';

--
-- Role memberships
--

GRANT "o""dd;role" TO "alice" WITH ADMIN OPTION GRANTED BY "postgres";

CREATE TABLESPACE "old" OWNER "alice" LOCATION '/srv/old';
CREATE TABLESPACE "fast" OWNER "alice" LOCATION '/srv/fast';
GRANT ALL ON TABLESPACE "fast" TO "alice";
COMMENT ON TABLESPACE "fast" IS 'x';

\unrestrict abcdef
)";

bool contains(const std::vector<std::string>& statements, const std::string& statement) {
  return std::find(statements.begin(), statements.end(), statement) != statements.end();
}
std::size_t place(const std::vector<std::string>& statements, const std::string& statement) {
  return std::size_t(std::find(statements.begin(), statements.end(), statement) - statements.begin());
}

}  // namespace

TEST_CASE("into an empty server roles are created as the dump says") {
  const GlobalsScript script = transform_globals(kDump, {}, true);
  CHECK(script.roles == std::set<std::string>{"alice", "o\"dd;role", "postgres"});
  CHECK(contains(script.roles_sql, "CREATE ROLE \"alice\";"));
  CHECK(contains(script.roles_sql, "CREATE ROLE \"o\"\"dd;role\";"));
  CHECK(contains(script.roles_sql,
                 "GRANT \"o\"\"dd;role\" TO \"alice\" WITH ADMIN OPTION GRANTED BY \"postgres\";"));
  CHECK(contains(script.roles_sql, "ALTER ROLE \"alice\" SET \"search_path\" TO E'a\\\\b', 'c;d';"));
  CHECK(script.tablespaces_sql.size() == 4);
}

TEST_CASE("text inside literals and comments never becomes a statement or a role") {
  const GlobalsScript script = transform_globals(kDump, {}, true);
  CHECK_FALSE(script.roles.contains("ghost"));
  CHECK(contains(
      script.roles_sql,
      "COMMENT ON ROLE \"alice\" IS 'says: CREATE ROLE \"ghost\"; -- it''s only text\nover two lines';"));
}

TEST_CASE("no psql command reaches the server, and none is executed") {
  for (const std::string& statement : transform_globals(kDump, {}, true).roles_sql) {
    CHECK(statement.front() != '\\');
    CHECK(statement.find("restrict") == std::string::npos);
  }
  const GlobalsScript hostile = transform_globals("\\! touch /tmp/x\nCREATE ROLE \"a\";\n", {}, true);
  CHECK(hostile.roles_sql == std::vector<std::string>{"CREATE ROLE \"a\";"});
}

TEST_CASE("a role that exists is brought to the dump's state: what the dump does not set is reset first") {
  ExistingGlobals target;
  target.roles = {"alice", "postgres"};
  target.roles_with_expiry = {"alice"};
  target.server_version = 150000;
  const std::vector<std::string> sql = transform_globals(kDump, target, true).roles_sql;
  CHECK_FALSE(contains(sql, "CREATE ROLE \"alice\";"));
  CHECK(contains(sql, "CREATE ROLE \"o\"\"dd;role\";"));
  for (const char* reset :
       {" PASSWORD NULL;", " RESET ALL;", " CONNECTION LIMIT -1;", " VALID UNTIL 'infinity';"}) {
    const std::string statement = std::string("ALTER ROLE \"alice\"") + reset;
    CHECK(contains(sql, statement));
    CHECK(place(sql, statement) <
          place(sql, "ALTER ROLE \"alice\" SET \"search_path\" TO E'a\\\\b', 'c;d';"));
  }
  CHECK_FALSE(contains(sql, "ALTER ROLE \"postgres\" VALID UNTIL 'infinity';"));
}

TEST_CASE("memberships of the target are revoked before the dump's are granted") {
  ExistingGlobals target;
  target.roles = {"alice", "bob"};
  target.memberships = {{"alice", "bob", "root"}};
  target.server_version = 150000;
  CHECK(transform_globals(kDump, target, true).roles_sql.front() == "REVOKE \"alice\" FROM \"bob\" CASCADE;");
  target.server_version = 160000;
  CHECK(transform_globals(kDump, target, true).roles_sql.front() ==
        "REVOKE \"alice\" FROM \"bob\" GRANTED BY \"root\" CASCADE;");
}

TEST_CASE("from 16 on the grantor is left out, which older servers never checked") {
  ExistingGlobals target;
  target.server_version = 160000;
  const std::vector<std::string> sql = transform_globals(kDump, target, true).roles_sql;
  CHECK(contains(sql, "GRANT \"o\"\"dd;role\" TO \"alice\" WITH ADMIN OPTION;"));
}

TEST_CASE("tablespaces that exist are not created, and all are left out on demand") {
  ExistingGlobals target;
  target.tablespaces = {"old"};
  const GlobalsScript script = transform_globals(kDump, target, true);
  REQUIRE(script.tablespaces_sql.size() == 3);
  CHECK(script.tablespaces_sql.front().starts_with("CREATE TABLESPACE \"fast\""));
  CHECK(transform_globals(kDump, target, false).tablespaces_sql.empty());
}

TEST_CASE("a script that stops in the middle of a literal gives what it has and no more") {
  const std::string dump = kDump;
  for (std::size_t size = 0; size <= dump.size(); ++size) {
    for (const std::string& role : transform_globals(dump.substr(0, size), {}, true).roles)
      CHECK(role != "ghost");
  }
}

TEST_CASE("names and texts are quoted as PostgreSQL reads them") {
  CHECK(quote_identifier("we ird\"db") == "\"we ird\"\"db\"");
  CHECK(quote_literal("it's") == "'it''s'");
  CHECK(quote_literal("a\\b'c") == "E'a\\\\b''c'");
}

TEST_CASE("no verifier is left in an excerpt of an error, not even one that is cut") {
  const std::string error =
      "ERROR: at ALTER ROLE a PASSWORD 'SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy' or "
      "'md5aabbccddeeff00112233445566778899'\nLINE 1";
  const std::string excerpt = safe_excerpt(error);
  CHECK(excerpt.find("c3RvcmVk") == std::string::npos);
  CHECK(excerpt.find("aabbccdd") == std::string::npos);
  CHECK(excerpt.find('\n') == std::string::npos);
  for (std::size_t limit = 1; limit < error.size(); ++limit) {
    CHECK(safe_excerpt(error, limit).find("c2FsdA") == std::string::npos);
  }
}
