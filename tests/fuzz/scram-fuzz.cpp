/// The goal of this target: no SCRAM message or verifier breaks a parser, and no server that does not hold
/// the verifier is believed.
///
/// The input's first byte chooses what the rest is.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "common/base/crypto.h"
#include "common/protocol/scram.h"

using namespace pgtandem;

namespace {

void require(bool promise) {
  if (!promise) std::abort();
}

ScramKeys keys() {
  return {Secret(std::string(32, 'c')), Secret(std::string(32, 's')), std::string(16, 'x'), 4096};
}

void check_client(std::string_view server_first) {
  ScramClient client(keys(), {"nonce", {}});
  (void)client.client_first();
  const Result<Secret> final = client.client_final(server_first);
  if (!final) return;
  const Result<ScramClientFinal> parsed = parse_scram_client_final(final->reveal());
  require(parsed.ok());
  require(parsed->nonce.starts_with("nonce") && parsed->nonce.size() > 5);
  require(!client.verify("v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").ok());
}

/// Three messages, one a line, as if overheard.
void check_transcript(std::string_view text) {
  const std::size_t first_end = std::min(text.find('\n'), text.size());
  const std::size_t second_end = std::min(text.find('\n', std::min(first_end + 1, text.size())), text.size());
  ScramTranscript transcript;
  (void)transcript.on_client_first(text.substr(0, first_end));
  (void)transcript.on_server_first(text.substr(std::min(first_end + 1, second_end), second_end - first_end));
  const bool complete = transcript.on_client_final(text.substr(std::min(second_end + 1, text.size()))).ok();
  require(transcript.complete() == complete);
  const std::string stored = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$" +
                             to_base64(sha256(as_bytes("x"))) + ":" + to_base64(sha256(as_bytes("y")));
  const Result<ScramKeys> recovered = transcript.recover(Secret(stored));
  if (recovered) require(sha256(as_bytes(recovered->client_key.reveal())) == sha256(as_bytes("x")));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0: {
      const Result<ScramVerifier> verifier = parse_scram_verifier(Secret(text));
      if (verifier) require(verifier->iterations <= kMaxScramIterations && !verifier->salt.empty());
      break;
    }
    case 1: {
      const Result<ScramClientFirst> first = parse_scram_client_first(text);
      if (first) require(text.ends_with(first->bare) && !first->nonce.empty());
      break;
    }
    case 2:
      check_client(text);
      break;
    case 3: {
      const Result<ScramClientFinal> final = parse_scram_client_final(text);
      if (final) require(final->proof.reveal().size() == 32);
      break;
    }
    default:
      check_transcript(text);
  }
  return 0;
}
