#include "common/protocol/standby-login.h"

#include <catch2/catch.hpp>

#include "common/base/crypto.h"
#include "tests/unit/protocol/login-script.h"

using namespace pgtandem;
using namespace pgtandem::test;
using State = StandbyLogin::State;

namespace {

const std::string kNonce(rfc7677::kClientNonce);

StandbyLogin new_login() {
  return StandbyLogin({"bob", "plant", kNonce});
}
Secret rfc_verifier() {
  return make_verifier(rfc7677::kPassword, rfc7677::kSaltBase64, 4096);
}
Credential by_keys() {
  return {AuthMethod::scram_sha_256, make_keys(rfc7677::kPassword, rfc7677::kSaltBase64, 4096)};
}
Credential by_password(std::string_view password) {
  return {AuthMethod::password, ClearPassword{Secret(password)}};
}
Credential by_hash() {
  return {AuthMethod::md5, StoredMd5{Secret("md5" + md5_hex("pencilbob"))}};
}
Credential by_own_right() {
  return {AuthMethod::trust, OwnRight{}};
}

StandbyLogin::Step feed(StandbyLogin& login, const Message& message) {
  return login.on_message(message.type, as_bytes(message.body));
}

/// The standby's side of a whole SCRAM login with the fixed nonce, for a relay that answers correctly.
std::vector<Message> scram_script() {
  ScramServer server(rfc_verifier());
  ScramClient client(std::get<ScramKeys>(by_keys().held), {kNonce, {}});
  const std::string first = server.first(client.client_first());
  const std::string final = server.final(client.client_final(first)->reveal());
  return {
      auth_sasl({"SCRAM-SHA-256"}),         auth(11, first),  auth(12, final), auth(0), parameter_status(),
      backend_key(7, std::string(32, 'k')), ready_for_query()};
}
std::vector<Message> md5_script() {
  return {auth(5, "salt"), auth(0), parameter_status(), backend_key(7, "abcd"), ready_for_query()};
}
std::vector<Message> trust_script() {
  return {auth(0), backend_key(7, "abcd"), ready_for_query()};
}

struct Login {
  std::vector<Message> script;
  Credential credential;
};
std::vector<Login> all_logins() {
  return {{scram_script(), by_keys()},
          {scram_script(), by_password(rfc7677::kPassword)},
          {md5_script(), by_hash()},
          {md5_script(), by_password("pencil")},
          {{auth(3), auth(0), backend_key(7, "abcd"), ready_for_query()}, by_password("pencil")},
          {trust_script(), by_own_right()},
          {trust_script(), by_keys()}};
}

/// Gives the credential first, then the messages; the state at the end.
State play(StandbyLogin& login, const Credential& credential, const std::vector<Message>& script) {
  (void)login.credential(credential);
  for (const Message& message : script) (void)feed(login, message);
  return login.state();
}

}  // namespace

TEST_CASE("a SCRAM login by key runs to ready, and the standby's server is satisfied at each step") {
  ScramServer server(rfc_verifier());
  StandbyLogin login({"bob", "plant"});
  CHECK(feed(login, auth_sasl({"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"})).state ==
        State::waiting_for_credential);
  const auto first = login.credential(by_keys());
  CHECK(first.state == State::sent_sasl_first);
  const std::string initial = body_of(first.send, 'p');
  REQUIRE(initial.starts_with(std::string("SCRAM-SHA-256\0", 14)));
  const std::string client_first = initial.substr(18);
  CHECK(load_u32(as_bytes(initial).data() + 14) == client_first.size());

  const auto second = feed(login, auth(11, server.first(client_first)));
  CHECK(second.state == State::sent_sasl_final);
  const std::string server_final = server.final(body_of(second.send, 'p'));
  REQUIRE_FALSE(server_final.empty());
  CHECK(feed(login, auth(12, server_final)).state == State::server_verified);
  CHECK(feed(login, auth(0)).state == State::authenticated);
  CHECK(feed(login, parameter_status()).state == State::authenticated);
  CHECK(feed(login, backend_key(4711, std::string(256, 'k'))).state == State::authenticated);
  const auto last = feed(login, ready_for_query());
  CHECK(last.state == State::ready);
  CHECK(last.send.empty());
  REQUIRE(login.backend_key().has_value());
  CHECK(login.backend_key()->pid == 4711);
  CHECK(login.backend_key()->key.reveal() == std::string(256, 'k'));
}

TEST_CASE("every login that fits runs to ready, whether the credential comes before or after the request") {
  for (const Login& it : all_logins()) {
    StandbyLogin before = new_login();
    CHECK(play(before, it.credential, it.script) == State::ready);

    StandbyLogin after = new_login();
    const auto asked = feed(after, it.script[0]);
    CHECK(asked.send.empty());
    CHECK((asked.state == State::waiting_for_credential || asked.state == State::authenticated));
    (void)after.credential(it.credential);
    for (std::size_t i = 1; i < it.script.size(); ++i) (void)feed(after, it.script[i]);
    CHECK(after.state() == State::ready);
    CHECK(after.backend_key()->pid == 7);
  }
}

TEST_CASE("nothing is sent to the standby before there is a credential") {
  for (const Message& request : {auth(3), auth(5, "salt"), auth_sasl({"SCRAM-SHA-256"}), auth(7), auth(99)}) {
    StandbyLogin login = new_login();
    const auto step = feed(login, request);
    CHECK(step.state == State::waiting_for_credential);
    CHECK(step.send.empty());
  }
}

TEST_CASE("password and md5 requests are answered with what the standby expects") {
  StandbyLogin clear = new_login();
  (void)clear.credential(by_password("pencil"));
  CHECK(body_of(feed(clear, auth(3)).send, 'p') == std::string("pencil\0", 7));

  const std::string expected = "md5" + md5_hex(md5_hex("pencilbob") + "salt") + std::string(1, '\0');
  for (const Credential& credential : {by_hash(), by_password("pencil")}) {
    StandbyLogin login = new_login();
    (void)login.credential(credential);
    CHECK(body_of(feed(login, auth(5, "salt")).send, 'p') == expected);
  }
}

TEST_CASE("a credential that fits no request is refused with both methods and the remedy") {
  struct Misfit {
    Credential credential;
    Message request;
    std::string master;
    std::string standby;
    std::string remedy;
  };
  const std::vector<Misfit> misfits = {
      {by_own_right(), auth_sasl({"SCRAM-SHA-256"}), "trust", "scram-sha-256", "admit the relay's address"},
      {by_own_right(), auth(5, "salt"), "trust", "md5", "admit the relay's address"},
      {by_own_right(), auth(3), "trust", "password", "admit the relay's address"},
      {by_keys(), auth(5, "salt"), "scram-sha-256", "md5", "(rolpassword)"},
      {by_keys(), auth(3), "scram-sha-256", "password", "(rolpassword)"},
      {by_hash(), auth_sasl({"SCRAM-SHA-256"}), "md5", "scram-sha-256", "(rolpassword)"},
      {by_hash(), auth(3), "md5", "password", "(rolpassword)"},
      {by_password("pencil"), auth(7), "password", "gss", "ask for password, md5 or scram-sha-256"},
      {by_password("pencil"), auth_sasl({"OAUTHBEARER"}), "password", "SASL",
       "ask for password, md5 or scram-sha-256"},
      {by_keys(), auth(77), "scram-sha-256", "does not know", "(rolpassword)"},
  };
  for (const Misfit& it : misfits) {
    StandbyLogin login = new_login();
    (void)feed(login, it.request);
    const auto step = login.credential(it.credential);
    CHECK(step.state == State::refused);
    CHECK(step.send.empty());
    CHECK(login.refusal().sqlstate.empty());
    CHECK_THAT(login.refusal().message, Catch::Contains("the master authenticated the role by " + it.master));
    CHECK_THAT(login.refusal().message,
               Catch::Contains("the standby asks for ") && Catch::Contains(it.standby));
    CHECK_THAT(login.refusal().message, Catch::Contains(it.remedy));
    CHECK(login.refusal_text().find("pencil") == std::string::npos);
  }
}

TEST_CASE("the standby's own refusal is kept and told with role and database, at every step of every login") {
  for (const Login& it : all_logins()) {
    for (std::size_t step = 0; step < it.script.size(); ++step) {
      std::vector<Message> script(it.script.begin(), it.script.begin() + long(step));
      script.push_back(server_error("28P01", "no such luck"));
      script.insert(script.end(), it.script.begin() + long(step),
                    it.script.end());  // nothing counts behind it
      StandbyLogin login = new_login();
      CHECK(play(login, it.credential, script) == State::refused);
      CHECK(login.refusal().sqlstate == "28P01");
      CHECK(login.refusal_text() ==
            "the standby refused the login of role \"bob\", database \"plant\": no such luck");
    }
  }
  StandbyLogin waiting = new_login();
  (void)feed(waiting, auth(3));
  CHECK(feed(waiting, server_error("57P01", "terminating")).state == State::refused);
}

TEST_CASE("a refusal goes to the frontend as 08004 with the standby's own state in the detail") {
  StandbyLogin login = new_login();
  (void)feed(login, server_error("3D000", "database \"plant\" does not exist"));
  const std::string response = login.refusal_response();
  const auto error = parse_error_response(as_bytes(response).subspan(5));
  REQUIRE(error.ok());
  CHECK(error->severity == "FATAL");
  CHECK(error->sqlstate == "08004");
  CHECK_THAT(error->message, Catch::Contains("does not exist") && Catch::Contains("\"bob\""));
  CHECK(response.find("The standby's SQLSTATE is 3D000.") != std::string::npos);
}

TEST_CASE("a message that does not belong there is refused at every step of every login") {
  const std::vector<Message> strangers = {{'T', "x"},  {'Z', "T"},   {'C', ""}, {'R', ""},
                                          {'\0', ""},  auth(8, "x"), auth(1),   {'E', "half an error"},
                                          {'K', "abc"}};
  for (const Login& it : all_logins()) {
    for (std::size_t step = 1; step < it.script.size(); ++step) {
      for (const Message& stranger : strangers) {
        std::vector<Message> script(it.script.begin(), it.script.begin() + long(step));
        script.push_back(stranger);
        StandbyLogin login = new_login();
        INFO("type " << stranger.type << " at " << step);
        CHECK(play(login, it.credential, script) == State::refused);
        CHECK_FALSE(login.refusal().message.empty());
      }
    }
  }
}

TEST_CASE("a login from which any of the standby's required messages is missing never gets ready") {
  for (const Login& it : all_logins()) {
    for (std::size_t left_out = 0; left_out < it.script.size(); ++left_out) {
      const char type = it.script[left_out].type;
      const bool only_request =
          left_out == 0 && it.script[1].type == 'R' && load_u32(as_bytes(it.script[1].body).data()) == 0;
      if (type == 'S' || type == 'K' || only_request) continue;  // a standby may ask for nothing
      std::vector<Message> script = it.script;
      script.erase(script.begin() + long(left_out));
      StandbyLogin login = new_login();
      INFO("without message " << left_out);
      CHECK(play(login, it.credential, script) != State::ready);
    }
  }
}

TEST_CASE("a standby that skips its signature, or signs wrongly, is not believed") {
  std::vector<Message> skipped = scram_script();
  skipped.erase(skipped.begin() + 2);
  StandbyLogin login = new_login();
  CHECK(play(login, by_keys(), skipped) == State::refused);
  CHECK_THAT(login.refusal().message, Catch::Contains("out of turn"));

  std::vector<Message> wrong = scram_script();
  wrong[2] = auth(12, rfc7677::kServerFinal);
  StandbyLogin other = new_login();
  CHECK(play(other, by_keys(), wrong) == State::refused);
  CHECK_THAT(other.refusal().message, Catch::Contains("wrong server signature"));
}

TEST_CASE("an authentication message cut at any length, or with a damaged byte, never leads to ready") {
  for (const Login& it : all_logins()) {
    for (std::size_t step = 0; step < it.script.size() && it.script[step].type == 'R'; ++step) {
      const std::string& body = it.script[step].body;
      for (std::size_t i = 0; i < body.size(); ++i) {
        std::vector<Message> cut = it.script;
        cut[step].body.resize(i);
        StandbyLogin cut_login = new_login();
        INFO("message " << step << " at " << i);
        CHECK(play(cut_login, it.credential, cut) == State::refused);

        if (it.script[0].body[3] == 5 && step == 0 && i >= 4) continue;  // md5's salt: any will do
        std::vector<Message> damaged = it.script;
        damaged[step].body[i] = char(damaged[step].body[i] ^ 4);
        StandbyLogin damaged_login = new_login();
        CHECK(play(damaged_login, it.credential, damaged) != State::ready);
      }
    }
  }
}

TEST_CASE("a standby with another verifier, or an iteration count beyond all bounds, is refused") {
  StandbyLogin other = new_login();
  (void)other.credential(by_keys());
  (void)feed(other, auth_sasl({"SCRAM-SHA-256"}));
  CHECK(feed(other, auth(11, "r=" + kNonce + "x,s=AAAA,i=4096")).state == State::refused);
  CHECK_THAT(other.refusal_text(), Catch::Contains("no login to the standby") && Catch::Contains("verifier"));
  StandbyLogin slow = new_login();
  (void)slow.credential(by_password("pencil"));
  (void)feed(slow, auth_sasl({"SCRAM-SHA-256"}));
  CHECK(feed(slow, auth(11, "r=" + kNonce + "x,s=AAAA,i=4000000000")).state == State::refused);
}

TEST_CASE("what the standby negotiates is recorded, notices are passed over, and a missing key is no error") {
  StandbyLogin login = new_login();
  CHECK(feed(login, {'v', std::string("\0\3\0\0\0\0\0\1_pq_.x\0", 15)}).state == State::waiting_for_request);
  REQUIRE(login.negotiated().has_value());
  CHECK(login.negotiated()->newest_version == 0x30000);
  CHECK(login.negotiated()->unknown_options == 1);
  (void)feed(login, {'N', "anything"});
  (void)feed(login, auth(0));
  (void)feed(login, {'N', "anything"});
  CHECK(feed(login, ready_for_query()).state == State::ready);
  CHECK_FALSE(login.backend_key().has_value());

  StandbyLogin cut = new_login();
  CHECK(feed(cut, {'v', "abc"}).state == State::refused);
  StandbyLogin late = new_login();
  (void)feed(late, auth(3));
  CHECK(feed(late, {'v', std::string(8, '\0')}).state == State::refused);
}

TEST_CASE("a credential given twice, or too late, changes nothing") {
  StandbyLogin login = new_login();
  (void)login.credential(by_password("pencil"));
  (void)login.credential(by_own_right());
  CHECK(feed(login, auth(3)).state == State::sent_password);
  CHECK(login.credential(by_own_right()).send.empty());
  CHECK(login.state() == State::sent_password);
}
