#include <catch2/catch.hpp>

#include "common/base/bytes.h"
#include "common/base/crc32c.h"
#include "common/base/crypto.h"
#include "common/base/ids.h"
#include "common/net/endpoint.h"

using namespace pgtandem;

TEST_CASE("crc32c gives the check value of the Castagnoli polynomial") {
  CHECK(crc32c(as_bytes("123456789")) == 0xE3069283U);
  CHECK(crc32c({}) == 0);
}

TEST_CASE("a reader fails for good at the first read past the end") {
  ByteReader reader(as_bytes(std::string_view("\0\0\0\7ab", 6)));
  CHECK(reader.u32() == 7);
  CHECK(reader.take(3).empty());
  CHECK(reader.failed());
  CHECK(reader.u8() == 0);
  CHECK(ByteReader(as_bytes("no end")).c_string().empty());
}

TEST_CASE("base64 and hex come back as they went, and nonsense is refused") {
  for (const std::string text : {"", "a", "ab", "abc", "abcd"}) {
    CHECK(*from_base64(to_base64(as_bytes(text))) == text);
    CHECK(*from_hex(to_hex(as_bytes(text))) == text);
  }
  // RFC 4648, section 10.
  CHECK(to_base64(as_bytes("f")) == "Zg==");
  CHECK(to_base64(as_bytes("fo")) == "Zm8=");
  CHECK(to_base64(as_bytes("foobar")) == "Zm9vYmFy");
  CHECK(to_base64(as_bytes("\xfb\xff\xfe")) == "+//+");
  CHECK(*from_base64("+//+") == "\xfb\xff\xfe");
  CHECK_FALSE(from_base64("====").ok());
  CHECK_FALSE(from_base64("Zg=a").ok());
  CHECK_FALSE(from_base64("abc").ok());
  CHECK_FALSE(from_base64("a=bc").ok());
  CHECK_FALSE(from_base64("****").ok());
  CHECK_FALSE(from_hex("abc").ok());
  CHECK_FALSE(from_hex("zz").ok());
}

TEST_CASE("the digests give the values of their standards' examples") {
  CHECK(to_hex(sha256(as_bytes("abc"))) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(to_hex(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(md5_hex("abc") == "900150983cd24fb0d6963f7d28e17f72");
  // RFC 7914, section 11 (its first 32 bytes).
  CHECK(to_hex(pbkdf2_sha256("passwd", as_bytes("salt"), 1)) ==
        "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
}

TEST_CASE("random bytes differ, and equality looks at every byte") {
  CHECK(random_bytes(16) != random_bytes(16));
  CHECK(random_bytes(0).empty());
  CHECK(equal_constant_time(as_bytes("abc"), as_bytes("abc")));
  CHECK_FALSE(equal_constant_time(as_bytes("abc"), as_bytes("abd")));
  CHECK_FALSE(equal_constant_time(as_bytes("abc"), as_bytes("xbc")));
  CHECK_FALSE(equal_constant_time(as_bytes("abc"), as_bytes("abcd")));
}

TEST_CASE("a UUID is read as it is written, and nothing else is") {
  const Uuid uuid = random_uuid();
  CHECK(*parse_uuid(to_string(uuid)) == uuid);
  CHECK(random_uuid() != uuid);
  CHECK_FALSE(parse_uuid("123").ok());
  CHECK_FALSE(parse_uuid("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx").ok());
}

TEST_CASE("an endpoint says what is wrong with it") {
  CHECK(*parse_endpoint("127.0.0.1:5432") == Endpoint{"127.0.0.1", 5432});
  CHECK(*parse_endpoint("[::1]:5432") == Endpoint{"::1", 5432});
  CHECK(*parse_endpoint("/run/postgresql:5433") == Endpoint{"/run/postgresql", 5433});
  CHECK(*parse_endpoint("hosta", 5432) == Endpoint{"hosta", 5432});
  CHECK(to_string(Endpoint{"::1", 1}) == "[::1]:1");
  CHECK(parse_endpoint("hosta").error().find("port is missing") != std::string::npos);
  CHECK_FALSE(parse_endpoint("hosta:0").ok());
  CHECK_FALSE(parse_endpoint("hosta:65536").ok());
  CHECK_FALSE(parse_endpoint("::1").ok());
  CHECK_FALSE(parse_endpoint("[::1:5432").ok());
}
