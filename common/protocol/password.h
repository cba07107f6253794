/// Answers to md5 authentication (PostgreSQL manual, "Message Flow", AuthenticationMD5Password):
/// "md5" || md5hex(md5hex(password || user) || salt), where "md5" || the inner digest is what the server has
/// stored.
#pragma once
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/secret.h"

namespace pgtandem {

/// Whether this is the stored form of an md5 password.
bool is_stored_md5(std::string_view stored);
/// From the stored form. Fails, without quoting it, where `stored` is none.
Result<Secret> md5_answer_from_stored(const Secret& stored, ByteSpan salt);
Secret md5_answer_from_password(const Secret& password, std::string_view user, ByteSpan salt);

}  // namespace pgtandem
