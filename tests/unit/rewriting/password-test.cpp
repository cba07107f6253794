// The goal of these tests: a clear password becomes what the server would have stored, and nothing else does.
#include <vector>

#include <catch2/catch.hpp>

#include "common/protocol/scram.h"
#include "server-relay/rewriting/password-verifier.h"
#include "tests/unit/rewriting/rewriting-fixtures.h"

using namespace pgtandem;
using namespace pgtandem::testing;

namespace {

RewritePlan role_plan(std::string_view sql, PasswordSettings settings = {}) {
  return rewrite_plan({.text = sql, .passwords = settings});
}

std::string final_text(std::string_view sql, PasswordSettings settings = {}) {
  return role_plan(sql, settings).text({})->text;
}

constexpr PasswordSettings kMd5{.encryption = "md5"};

}  // namespace

TEST_CASE("a verifier is what PostgreSQL computes") {
  // The password, salt and messages of RFC 7677's example.
  const auto verifier = scram_verifier(Secret("pencil"), 4096,
                                       std::string("\x5b\x6d\x99\x68\x9d\x12\x35\x8e"
                                                   "\xec\xa0\x4b\x14\x12\x36\xfa\x81"));
  REQUIRE(verifier);
  CHECK(verifier->starts_with("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"));
  const auto parsed = parse_scram_verifier(Secret(*verifier));
  REQUIRE(parsed);
  ScramTranscript transcript;
  REQUIRE(transcript.on_client_first("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"));
  REQUIRE(
      transcript.on_server_first("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                                 "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
  REQUIRE(
      transcript.on_client_final("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                                 "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
  CHECK(transcript.recover(Secret(*verifier)));
  CHECK(*md5_verifier(Secret("pencil"), "user") == "md520c46e3762c864548e296b33c3406aa9");
}

TEST_CASE("clear passwords are replaced in every spelling") {
  for (const char* sql :
       {"CREATE ROLE x PASSWORD 'clear'",
        "CREATE USER x WITH LOGIN ENCRYPTED PASSWORD 'clear' VALID UNTIL 'infinity'",
        "ALTER USER x PASSWORD $$clear$$", "ALTER ROLE CURRENT_USER PASSWORD /* c */ E'cle\\x61r'",
        "CREATE GROUP x PASSWORD 'cle'\n 'ar' NOLOGIN", "ALTER ROLE x PASSWORD U&'cle!0061r' UESCAPE '!'"}) {
    INFO(sql);
    const RewritePlan plan = role_plan(sql);
    CHECK_FALSE(plan.empty());
    CHECK_FALSE(plan.may_be_kept());
    CHECK(plan.expressions().empty());
    CHECK(plan.evaluation().empty());
    const std::string text = plan.text({})->text;
    CHECK(text.find("clear") == std::string::npos);
    const std::size_t begin = text.find("'SCRAM-SHA-256$4096:");
    REQUIRE(begin != std::string::npos);
    CHECK(parse_scram_verifier(Secret(text.substr(begin + 1, text.find('\'', begin + 1) - begin - 1))));
    CHECK(plan.parameter_text(0).text == text);
  }
  const std::string text = final_text("CREATE USER x WITH PASSWORD 'clear' /* end */ LOGIN");
  CHECK(text.starts_with("CREATE USER x WITH PASSWORD  'SCRAM"));
  CHECK(text.ends_with("' /* end */ LOGIN"));
  CHECK(final_text("CREATE USER x PASSWORD 'clear'", {.iterations = 7}).find("$7:") != std::string::npos);
}

TEST_CASE("each verifier has a salt of its own") {
  CHECK(final_text("ALTER ROLE x PASSWORD 'clear'") != final_text("ALTER ROLE x PASSWORD 'clear'"));
}

TEST_CASE("md5 is used where the server would use it") {
  // SELECT 'md5' || md5('clear' || 'x')
  const std::string expected = "ALTER ROLE x PASSWORD  '" + *md5_verifier(Secret("clear"), "x") + "'";
  CHECK(final_text("ALTER ROLE x PASSWORD 'clear'", kMd5) == expected);
  CHECK(final_text("ALTER ROLE X PASSWORD 'clear'", {.encryption = "ON"}).ends_with(expected.substr(12)));
  CHECK(role_plan("ALTER ROLE CURRENT_USER PASSWORD 'clear'", kMd5).not_rewritten() ==
        std::vector<std::string>{"password"});
}

TEST_CASE("what is no clear password stays") {
  for (const char* sql :
       {"CREATE ROLE x", "CREATE ROLE x PASSWORD NULL", "ALTER ROLE x PASSWORD ''",
        "ALTER ROLE x PASSWORD 'md5c5a7d30a8ffc5b6ef3a7b1ad2dfbc4d8'",
        "ALTER ROLE x PASSWORD 'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU='",
        "ALTER ROLE x SET search_path = 'clear'", "DROP ROLE x"}) {
    INFO(sql);
    CHECK(role_plan(sql).empty());
    CHECK(role_plan(sql).not_rewritten().empty());
  }
  CHECK(rewrite_plan({.text = "ALTER ROLE x PASSWORD 'clear'", .classes = {.passwords = false}}).empty());
}

TEST_CASE("a password that cannot be hashed here is noted, and never quoted") {
  const std::vector<std::string> noted{"password"};
  CHECK(role_plan("ALTER ROLE x PASSWORD 'p\xC3\xA4ss'").not_rewritten() == noted);
  CHECK(role_plan("ALTER ROLE x PASSWORD 'p\xC3\xA4ss'").empty());
  CHECK(role_plan("ALTER ROLE x PASSWORD 'SCRAM-SHA-256$nearly'").not_rewritten() == noted);
  CHECK(role_plan("ALTER ROLE x PASSWORD 'clear'", {.encryption = "later"}).not_rewritten() == noted);
  CHECK(role_plan("ALTER ROLE x PASSWORD 'clear'", {.iterations = 0}).not_rewritten() == noted);
  for (const auto& refused : {scram_verifier(Secret("p\xC3\xA4ss"), 4096), scram_verifier(Secret("clear"), 0),
                              md5_verifier(Secret("clear"), ""), md5_verifier(Secret("p\xC3\xA4ss"), "x")}) {
    REQUIRE_FALSE(refused);
    CHECK(refused.error().find("clear") == std::string::npos);
    CHECK(refused.error().find("\xC3\xA4") == std::string::npos);
  }
}
