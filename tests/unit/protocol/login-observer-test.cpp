#include "common/protocol/login-observer.h"

#include <catch2/catch.hpp>

#include "common/base/crypto.h"
#include "tests/unit/protocol/login-script.h"

using namespace pgtandem;
using namespace pgtandem::test;
using State = LoginObserver::State;

namespace {

const std::string kPasswordMessage("secret\0", 7);

/// Plays a login: 'p' comes from the frontend, everything else from the master.
void play(LoginObserver& observer, const std::vector<Message>& script) {
  for (const Message& message : script) {
    if (message.type == 'p') {
      observer.from_frontend('p', as_bytes(message.body));
    } else {
      observer.from_master(message.type, as_bytes(message.body));
    }
  }
}

std::vector<Message> scram_script(std::string_view mechanism = kScramSha256) {
  return {auth_sasl({"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}),
          {'p', sasl_initial(mechanism, rfc7677::kClientFirst)},
          auth(11, rfc7677::kServerFirst),
          {'p', std::string(rfc7677::kClientFinal)},
          auth(12, rfc7677::kServerFinal),
          auth(0)};
}
std::vector<Message> md5_script() {
  const std::string answer = "md5" + md5_hex(md5_hex("secretbob") + "salt");
  return {auth(5, "salt"), {'p', answer + std::string(1, '\0')}, auth(0)};
}
Secret md5_stored(const std::string& password = "secret") {
  return Secret("md5" + md5_hex(password + "bob"));
}
Secret rfc_verifier() {
  return make_verifier(rfc7677::kPassword, rfc7677::kSaltBase64, 4096);
}

template <typename T>
bool holds(const Credential& credential) {
  return std::holds_alternative<T>(credential.held);
}

}  // namespace

TEST_CASE("a master that asks for nothing leaves the relay its own right") {
  LoginObserver observer;
  CHECK(observer.state() == State::waiting_for_master);
  play(observer, {auth(0)});
  CHECK(observer.state() == State::accepted);
  CHECK(observer.method() == AuthMethod::trust);
  CHECK_FALSE(observer.needs_stored_password());
  CHECK(holds<OwnRight>(*observer.credential()));
}

TEST_CASE("a password asked for in clear is the credential") {
  LoginObserver observer;
  play(observer, {auth(3)});
  CHECK(observer.state() == State::waiting_for_frontend);
  play(observer, {{'p', kPasswordMessage}});
  CHECK(observer.state() == State::waiting_for_master);
  CHECK_FALSE(observer.credential().ok());
  play(observer, {auth(0)});
  CHECK(observer.method() == AuthMethod::password);
  CHECK_FALSE(observer.needs_stored_password());
  const auto credential = observer.credential();
  REQUIRE(credential.ok());
  CHECK(std::get<ClearPassword>(credential->held).password.reveal() == "secret");
}

TEST_CASE("md5 needs the stored hash, and takes only the one that the master used") {
  LoginObserver observer;
  play(observer, md5_script());
  CHECK(observer.method() == AuthMethod::md5);
  CHECK(observer.needs_stored_password());
  CHECK_THAT(observer.credential().error(), Catch::Contains("service user"));
  CHECK_FALSE(observer.complete(Secret()).ok());
  CHECK_FALSE(observer.complete(rfc_verifier()).ok());
  const auto stale = observer.complete(md5_stored("changed"));
  REQUIRE_FALSE(stale.ok());
  CHECK_THAT(stale.error(), Catch::Contains("read it again"));
  CHECK(observer.complete(md5_stored()).ok());
  CHECK_FALSE(observer.needs_stored_password());
  CHECK(std::get<StoredMd5>(observer.credential()->held).hash.reveal() == md5_stored().reveal());
}

TEST_CASE(
    "SCRAM needs the stored verifier, takes only the one that the master used, and gives the client key") {
  LoginObserver observer;
  play(observer, scram_script());
  CHECK(observer.state() == State::accepted);
  CHECK(observer.method() == AuthMethod::scram_sha_256);
  CHECK(observer.needs_stored_password());
  CHECK_FALSE(observer.complete(md5_stored()).ok());
  CHECK_FALSE(observer.complete(make_verifier("other", rfc7677::kSaltBase64, 4096)).ok());
  CHECK(observer.needs_stored_password());
  CHECK(observer.complete(rfc_verifier()).ok());
  const auto credential = observer.credential();
  REQUIRE(credential.ok());
  CHECK(credential->master_method == AuthMethod::scram_sha_256);
  CHECK(std::get<ScramKeys>(credential->held).client_key.reveal() ==
        make_keys(rfc7677::kPassword, rfc7677::kSaltBase64, 4096).client_key.reveal());
  CHECK_FALSE(observer.complete(rfc_verifier()).ok());
}

TEST_CASE("a frontend that gives its first SASL message only after an empty challenge is followed as well") {
  std::vector<Message> script = scram_script();
  script[1].body = std::string("SCRAM-SHA-256\0\xff\xff\xff\xff", 18);
  script.insert(script.begin() + 2, {auth(11), Message{'p', std::string(rfc7677::kClientFirst)}});
  LoginObserver observer;
  play(observer, script);
  CHECK(observer.complete(rfc_verifier()).ok());
}

TEST_CASE("channel binding that the master accepted is as good as SCRAM without") {
  LoginObserver observer;
  play(observer, scram_script(kScramSha256Plus));
  CHECK(observer.method() == AuthMethod::scram_sha_256_plus);
  CHECK(observer.complete(rfc_verifier()).ok());
  CHECK(observer.refusal_explanation().empty());
}

TEST_CASE("channel binding that the master refused is explained, a plain refusal is not") {
  for (const std::string_view mechanism : {kScramSha256Plus, kScramSha256}) {
    std::vector<Message> script = scram_script(mechanism);
    script.resize(4);
    script.push_back(server_error("28000", "SCRAM channel binding check failed"));
    LoginObserver observer;
    play(observer, script);
    CHECK(observer.state() == State::refused);
    CHECK(observer.refusal().message == "SCRAM channel binding check failed");
    CHECK(observer.refusal_explanation().empty() == (mechanism == kScramSha256));
  }
}

TEST_CASE("gss, sspi and mechanisms that are not SCRAM leave the relay its own right") {
  const std::vector<std::pair<AuthMethod, std::vector<Message>>> logins = {
      {AuthMethod::gss, {auth(7), {'p', "token"}, auth(8, "more"), {'p', "token"}, auth(0)}},
      {AuthMethod::sspi, {auth(9), {'p', "token"}, auth(0)}},
      {AuthMethod::other, {auth(6), {'p', "x"}, auth(0)}},
      {AuthMethod::other_sasl,
       {auth_sasl({"OAUTHBEARER"}),
        {'p', sasl_initial("OAUTHBEARER", "n,,")},
        auth(11, "{}"),
        {'p', "\1"},
        auth(0)}},
  };
  for (const auto& [method, script] : logins) {
    LoginObserver observer;
    play(observer, script);
    CHECK(observer.state() == State::accepted);
    CHECK(observer.method() == method);
    CHECK_FALSE(observer.needs_stored_password());
    REQUIRE(observer.credential().ok());
    CHECK(holds<OwnRight>(*observer.credential()));
  }
}

TEST_CASE("negotiation and notices change nothing") {
  LoginObserver observer;
  play(observer, {{'v', std::string("\0\0\0\0\0\0\0\0", 8)},
                  {'N', "x"},
                  auth(3),
                  {'N', "x"},
                  {'p', kPasswordMessage},
                  auth(0)});
  CHECK(holds<ClearPassword>(*observer.credential()));
}

TEST_CASE("a refusal by the master ends every login at every step") {
  for (const auto& script :
       {scram_script(), md5_script(), std::vector<Message>{auth(3), {'p', kPasswordMessage}, auth(0)}}) {
    for (std::size_t step = 0; step < script.size(); ++step) {
      std::vector<Message> refused(script.begin(), script.begin() + long(step));
      refused.push_back(server_error("28P01", "password authentication failed"));
      refused.push_back(auth(0));  // nothing counts behind it
      LoginObserver observer;
      play(observer, refused);
      CHECK(observer.state() == State::refused);
      CHECK(observer.refusal().sqlstate == "28P01");
      CHECK_FALSE(observer.needs_stored_password());
      CHECK_FALSE(observer.credential().ok());
    }
  }
}

TEST_CASE("a message left out of a login, at every step, gives no credential from half a login") {
  for (const auto& script : {scram_script(), md5_script()}) {
    for (std::size_t left_out = 0; left_out < script.size(); ++left_out) {
      // server-final carries nothing that the credential needs
      if (script.size() == scram_script().size() && left_out == 4) continue;
      std::vector<Message> shorter = script;
      shorter.erase(shorter.begin() + long(left_out));
      LoginObserver observer;
      play(observer, shorter);
      const Secret stored = script.size() == md5_script().size() ? md5_stored() : rfc_verifier();
      const bool completed = observer.needs_stored_password() && observer.complete(stored).ok();
      const auto credential = observer.credential();
      INFO(left_out);
      CHECK_FALSE(completed);
      CHECK((!credential.ok() || holds<OwnRight>(*credential)));
    }
  }
}

TEST_CASE("a login cut inside any message never gives a credential that the whole one would not") {
  for (const auto& script : {scram_script(), md5_script()}) {
    const bool md5 = script.size() == md5_script().size();
    for (std::size_t step = 0; step + 1 < script.size(); ++step) {
      if (!md5 && step == 4) continue;  // server-final is the master's affair
      for (std::size_t cut = 0; cut < script[step].body.size(); ++cut) {
        std::vector<Message> damaged = script;
        damaged[step].body.resize(cut);
        LoginObserver observer;
        play(observer, damaged);
        const bool completed =
            observer.needs_stored_password() && observer.complete(md5 ? md5_stored() : rfc_verifier()).ok();
        INFO(step << " cut at " << cut);
        CHECK_FALSE(completed);
      }
    }
  }
}

TEST_CASE("answers that overtake their request, and a master that asks twice, give no credential") {
  LoginObserver early;
  play(early, {{'p', kPasswordMessage}, auth(3), {'p', kPasswordMessage}, auth(0)});
  CHECK_FALSE(early.credential().ok());
  LoginObserver twice;
  play(twice, {auth(3), {'p', kPasswordMessage}, auth(5, "salt"), {'p', kPasswordMessage}, auth(0)});
  CHECK_FALSE(twice.credential().ok());
  CHECK_FALSE(twice.needs_stored_password());
}

TEST_CASE("no error text of a login quotes a secret") {
  LoginObserver observer;
  play(observer, {auth(3), {'p', "secret without end"}, auth(0)});
  const auto credential = observer.credential();
  REQUIRE_FALSE(credential.ok());
  CHECK(credential.error().find("secret") == std::string::npos);
}
