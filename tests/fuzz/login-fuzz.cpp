/// The goal of this target: no sequence of login messages breaks the observer of the master's login or the
/// login to the standby, none is sent a proof before the credential is there, and nobody who cannot sign gets
/// a SCRAM login to ready.
///
///   input   = choice:byte1 message*
///   message = direction:byte1 type:byte1 size:byte2 body      direction: 0 the master, 1 the frontend, 2 the
///   standby,
///                                                             3 the credential of this choice is given to
///                                                             the login
#include <cstdint>
#include <cstdlib>
#include <string>

#include "common/protocol/login-observer.h"
#include "common/protocol/standby-login.h"

using namespace pgtandem;

namespace {

void require(bool promise) {
  if (!promise) std::abort();
}

Credential choose(unsigned choice) {
  switch (choice % 4) {
    case 0:
      return {AuthMethod::trust, OwnRight{}};
    case 1:
      return {AuthMethod::password, ClearPassword{Secret("pencil")}};
    case 2:
      return {AuthMethod::md5, StoredMd5{Secret("md5" + std::string(32, '0'))}};
    default:
      return {AuthMethod::scram_sha_256, ScramKeys{Secret(std::string(32, 'c')), Secret(std::string(32, 's')),
                                                   std::string(16, 'x'), 4096}};
  }
}

/// Keeps hashing cheap: an input with many iterations shows nothing that one with few does not.
bool asks_for_many_iterations(std::string_view body) {
  const std::size_t at = body.find(",i=");
  return at != std::string_view::npos && body.size() > at + 3 + 4;
}

class Machines {
 public:
  explicit Machines(unsigned choice) : choice_(choice), login_({"bob", "plant", "nonce"}) {}

  void on_message(unsigned direction, char type, ByteSpan body) {
    switch (direction % 4) {
      case 0:
        observer_.from_master(type, body);
        break;
      case 1:
        observer_.from_frontend(type, body);
        break;
      case 2:
        if (!asks_for_many_iterations(as_text(body))) on_step(login_.on_message(type, body));
        break;
      default:
        given_ = true;
        on_step(login_.credential(choose(choice_)));
    }
  }

  void finish() {
    (void)observer_.complete(Secret("md5" + std::string(32, '0')));
    const bool accepted = observer_.state() == LoginObserver::State::accepted;
    require(!observer_.credential().ok() || accepted);
    require(!observer_.needs_stored_password() || accepted);
    if (login_.state() == StandbyLogin::State::refused) require(login_.refusal_response().front() == 'E');
  }

 private:
  void on_step(const StandbyLogin::Step& step) {
    require(step.state == login_.state());
    require(step.send.empty() || given_);
    if (step.state == StandbyLogin::State::sent_sasl_first) scram_ = true;
    require(!(scram_ && step.state == StandbyLogin::State::ready));
  }

  unsigned choice_;
  LoginObserver observer_;
  StandbyLogin login_;
  bool given_ = false;
  bool scram_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteReader reader(ByteSpan(reinterpret_cast<const std::byte*>(data), size));
  Machines machines(reader.u8());
  while (reader.left() != 0) {
    const unsigned direction = reader.u8();
    const char type = char(reader.u8());
    const ByteSpan body = reader.take(reader.u16());
    if (reader.failed()) break;
    machines.on_message(direction, type, body);
  }
  machines.finish();
  return 0;
}
