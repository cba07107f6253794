#include "server-relay/replies/reply-reader.h"

#include <xxhash.h>

namespace pgtandem {
namespace {

constexpr std::uint64_t kMultiplier = 0x9E3779B97F4A7C15ULL;  // 2^64 / golden ratio: spreads bits well

}  // namespace

void ErrorFields::start() {
  *this = ErrorFields{};
}

void ErrorFields::add(ByteSpan piece) {
  for (const std::byte b : piece) {
    const char c = char(b);
    if (field_ == 0) {
      field_ = c;
      place_ = 0;
    } else if (c == 0) {
      field_ = 0;
    } else {
      add_to_field(c);
    }
  }
}

void ErrorFields::add_to_field(char c) {
  // 'V' is the severity that is never translated (since 9.6); "FATAL" and "PANIC" alone begin with F and P.
  if (field_ == 'V' && place_ == 0) fatal_ = c == 'F' || c == 'P';
  if (field_ == 'C' && sqlstate_size_ < sqlstate_.size()) sqlstate_[sqlstate_size_++] = c;
  if (field_ == 'R' && routine_size_ < routine_.size()) routine_[routine_size_++] = c;
  if (field_ == 'M' && message_size_ < message_.size()) message_[message_size_++] = c;
  ++place_;
}

void ColumnDigest::start() {
  *this = ColumnDigest{};
  skip_ = 2;
  digest_ = 1;
}

void ColumnDigest::mix(std::uint64_t value) {
  digest_ = (digest_ ^ value) * kMultiplier;
  digest_ ^= digest_ >> 29;
}

void ColumnDigest::add(ByteSpan piece, const ReplyMapper* mapper) {
  for (const std::byte b : piece) {
    if (skip_ != 0) {
      --skip_;
    } else if (in_name_) {
      mix(std::uint64_t(b));
      in_name_ = b != std::byte{0};
      fixed_ = 0;
      type_ = 0;
    } else {
      if (fixed_ >= 6 && fixed_ < 10) type_ = (type_ << 8) | std::uint32_t(b);
      if (++fixed_ == kFixedPart) {
        mix(mapper != nullptr ? mapper->type_oid(type_) : type_ >= kFirstUserOid ? kFirstUserOid : type_);
        in_name_ = true;
      }
    }
  }
}

void ReplyReader::FreeState::operator()(XXH3_state_s* state) const {
  XXH3_freeState(state);
}
ReplyReader::~ReplyReader() = default;
ReplyReader::ReplyReader(ReplyReader&&) noexcept = default;
ReplyReader& ReplyReader::operator=(ReplyReader&&) noexcept = default;

std::optional<Outcome> ReplyReader::on_piece(const MessagePiece& piece) {
  if (!piece.whole()) {
    if (piece.first) unfinished_ = {piece.type, piece.body_size, 0, 0};
    unfinished_.here += std::uint32_t(piece.body.size());
    if (piece.last) unfinished_ = {};
  }
  const std::optional<Outcome> outcome = read(piece);
  const bool row = piece.type == 'D' || piece.type == 'd';
  if (outcome && !outcome->fatal) {
    progress_.add_outcome(outcome->kind == Outcome::Kind::ready);
  } else if (!outcome && !row && piece.last && ReplyProgress::counts(piece.type)) {
    progress_.add_message(std::uint64_t(piece.type));
  }
  return outcome;
}

std::optional<ReplyReader::Unfinished> ReplyReader::unfinished() const {
  if (unfinished_.body_size == 0) return std::nullopt;
  Unfinished so_far = unfinished_;
  if (large_row_ != nullptr) so_far.digest = XXH3_64bits_digest(large_row_.get());
  return so_far;
}

std::optional<Outcome> ReplyReader::read(const MessagePiece& piece) {
  switch (piece.type) {
    case 'D':
    case 'd':
      add_row_piece(piece);
      return std::nullopt;
    case 'T':
      if (piece.first) columns_.start();
      columns_.add(piece.body, mapper_);
      if (piece.last) column_digest_ = columns_.value();
      return std::nullopt;
    case 'H':
      copied_out_ = true;
      return std::nullopt;
    case 'E':
      if (piece.first) error_.start();
      error_.add(piece.body);
      return piece.last ? finish(Outcome::Kind::error, piece) : std::nullopt;
    case 'V':
      add_row_piece(piece);
      return piece.last ? finish(Outcome::Kind::function_result, piece) : std::nullopt;
    case 'C':
      return piece.last ? finish(Outcome::Kind::complete, piece) : std::nullopt;
    case 'I':
      return piece.last ? finish(Outcome::Kind::empty_query, piece) : std::nullopt;
    case 's':
      return piece.last ? finish(Outcome::Kind::suspended, piece) : std::nullopt;
    case 'G':
    case 'W':
      return piece.last ? finish(Outcome::Kind::copy_in, piece) : std::nullopt;
    case 'Z':
      return piece.last ? finish(Outcome::Kind::ready, piece) : std::nullopt;
    default:
      return std::nullopt;
  }
}

void ReplyReader::add_row_piece(const MessagePiece& piece) {
  if (piece.whole()) {
    const bool mapped =
        mapper_ != nullptr && piece.type == 'D' && piece.body_size <= ReplyMapper::kMappedRowLimit;
    add_row(mapped ? mapper_->row_digest(piece.body) : XXH3_64bits(piece.body.data(), piece.body.size()));
    return;
  }
  if (piece.first) {
    large_row_.reset(XXH3_createState());
    XXH3_64bits_reset(large_row_.get());
  }
  XXH3_64bits_update(large_row_.get(), piece.body.data(), piece.body.size());
  if (piece.last) {
    add_row(XXH3_64bits_digest(large_row_.get()));
    large_row_.reset();
  }
}

void ReplyReader::add_row(std::uint64_t digest) {
  ++rows_;
  progress_.add_message(digest);
  row_digest_ = ordered_rows_ ? (row_digest_ ^ digest) * kMultiplier : row_digest_ + digest;
}

std::optional<Outcome> ReplyReader::finish(Outcome::Kind kind, const MessagePiece& piece) {
  Outcome outcome;
  outcome.kind = kind;
  outcome.rows = rows_;
  outcome.row_digest = row_digest_;
  outcome.column_digest = column_digest_;
  const bool copied_out = copied_out_;
  rows_ = row_digest_ = column_digest_ = 0;
  copied_out_ = false;
  if (kind == Outcome::Kind::error) {
    outcome.fatal = error_.fatal();
    outcome.sqlstate.assign(error_.sqlstate());
    outcome.lock_timeout = error_.sqlstate() == "55P03" && error_.routine() == "ProcessInterrupts";
    outcome.text.assign(error_.message());
  } else if (kind == Outcome::Kind::complete && piece.whole()) {
    const std::string_view body = as_text(piece.body);
    const std::string_view tag = body.substr(0, body.find('\0'));
    outcome.text.assign(tag);
    outcome.tag_class = classify_tag(tag, copied_out);
  } else if (kind == Outcome::Kind::ready && !piece.body.empty()) {
    outcome.status = char(piece.body[0]);
  }
  return outcome;
}

}  // namespace pgtandem
