// The goal of these tests: a password's verifier is what the server itself would store.
#include <cstring>

#include <catch2/catch.hpp>

#include "common/protocol/scram.h"
#include "server-relay/rewriting/password-verifier.h"
#include "tests/unit/rewriting/real-pair.h"

using namespace pgtandem;
using namespace pgtandem::testing;

namespace {

std::string stored(const std::string& role) {
  return sql_on(real_pair().master(), "SELECT rolpassword FROM pg_authid WHERE rolname = '" + role + "'");
}

/// A role that is gone again at the end.
class Role {
 public:
  explicit Role(const char* name) : name_(name) {
    sql_on(real_pair().master(), std::string("DROP ROLE IF EXISTS ") + name);
  }
  ~Role() { run(real_pair().master(), "DROP ROLE IF EXISTS " + name_); }

 private:
  std::string name_;
};

}  // namespace

TEST_CASE("with the server's salt the relay computes the server's SCRAM verifier") {
  const Role role("rewriting_role");
  for (const char* password : {"secret", "with 'quotes' and \\", "~", "a b\tc"}) {
    sql_on(real_pair().master(), "SET password_encryption = 'scram-sha-256'");
    sql_on(real_pair().master(), "DROP ROLE IF EXISTS rewriting_role");
    char* literal = PQescapeLiteral(real_pair().master(), password, std::strlen(password));
    sql_on(real_pair().master(), std::string("CREATE ROLE rewriting_role PASSWORD ") + literal);
    PQfreemem(literal);
    const std::string servers = stored("rewriting_role");
    const auto parsed = parse_scram_verifier(Secret(servers));
    REQUIRE(parsed);
    CHECK(*scram_verifier(Secret(password), parsed->iterations, parsed->salt) == servers);
  }
}

TEST_CASE("the server stores the relay's verifier as it is") {
  const Role role("rewriting_role");
  const RewritePlan plan = rewrite_plan({.text = "CREATE ROLE rewriting_role LOGIN PASSWORD 'secret'"});
  const std::string text = plan.text({})->text;
  sql_on(real_pair().master(), text);
  CHECK(text.find("'" + stored("rewriting_role") + "'") != std::string::npos);
}

TEST_CASE("an md5 hash is the server's") {
  const Role role("rewriting_role");
  sql_on(real_pair().master(), "SET password_encryption = 'md5'");
  sql_on(real_pair().master(), "CREATE ROLE rewriting_role PASSWORD 'secret'");
  sql_on(real_pair().master(), "RESET password_encryption");
  CHECK(*md5_verifier(Secret("secret"), "rewriting_role") == stored("rewriting_role"));
}
