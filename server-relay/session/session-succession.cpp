/// The master's server is lost while this relay lives (1-session.md, "Surviving"; hard points 5 and 10). The
/// keeper has handed over to the other node, and the session goes on there with its standby leg: in the
/// middle of transactions, units and replies, with all that the leg has of prepared statements, settings,
/// temporary tables, cursors and locks.
///
///   master's replies    C Z T D D |lost
///   standby's replies   C Z T D D D C Z          ahead of it: what is beyond the place was kept
///                       C Z T|                   behind it: compared up to there as ever
///
/// What the frontend has of an unfinished reply has to be a prefix of the standby's; a session where it is
/// not ends, and so does an open SERIALIZABLE transaction, which the master alone has judged.
#include <asio/post.hpp>

#include "common/base/log.h"
#include "common/protocol/error-response.h"
#include "server-relay/session/session.h"

namespace pgtandem {

bool Session::may_be_succeeded() const {
  return env_.settings.pair_mode() && phase_ == Phase::streaming && standby_state_ == StandbyState::live &&
         !standby_ended_alone_;
}

/// Until the keeper has found a successor for all sessions, or that there is none. The authority says so: a
/// master without postmaster and without successor serves no new frontends, and holds nothing.
asio::awaitable<void> Session::await_successor() {
  const SteadyTime limit = std::chrono::steady_clock::now() + env_.settings.takeover_timeout;
  note_authority();
  while (!ended() && !no_successor_ && !succeeding_ && !guest_ && std::chrono::steady_clock::now() < limit)
    co_await reply_event_.wait();
}

void Session::note_authority() {
  const Authority& authority = env_.thread.authority();
  no_successor_ =
      no_successor_ || (!authority.outputs_held && !authority.guests && authority.service != Service::serve);
}

/// The other node is master, and what its server says counts.
void Session::begin_succession() {
  if (phase_ == Phase::negotiating || phase_ == Phase::waiting_for_service || ended()) return;
  if (!may_be_succeeded()) return end_unsucceeded("the master has just changed; connect again");
  SerialState* const s = serial_.get();
  if (s != nullptr && s->serializable) {
    return end_unsucceeded("the master's server was lost inside a SERIALIZABLE transaction; try it again",
                           "40001");
  }
  cut_off_ = master_reader_.unfinished();
  if (cut_off_ && cut_off_->type != 'D' && cut_off_->type != 'd')
    return end_unsucceeded("the master's server was lost inside a message to the client");
  if (s != nullptr) flush_laggards();
  succeeding_ = true;
  master_gone_ = false;
  farewell_.clear();
  master_->stream.close();
  master_->out.drop();
  master_->kept.clear();
  if (s != nullptr) {
    // What the master was to run first: the other server has it to do now.
    s->deferring = s->spooling = s->copy_begun = s->watching = false;
    s->spooled = std::string();
    flush_deferred();
  }
  handle_mismatches();
  if (!ended()) catch_up();
}

/// Called whenever the standby has come further: perhaps beyond the place, then that has been kept.
void Session::catch_up() {
  if (succeeding_ && standby_reader_.progress() >= master_reader_.progress()) succeed();
}

/// Both legs are at the place where the master was lost, or the standby is beyond it.
void Session::succeed() {
  const ReplyProgress& place = master_reader_.progress();
  const bool beyond = !ahead_.empty();
  const std::optional<ByteSpan> rest = beyond ? ahead_.from(place, standbys_reading()) : ByteSpan();
  if (!rest || (!beyond && standby_reader_.progress().digest != place.digest)) {
    return end_unsucceeded(
        "the master's server was lost inside a reply, and the other server gives other rows");
  }
  const std::string to_come(as_text(*rest));
  ahead_.clear();
  succeeding_ = false;
  guest_ = true;
  SerialState* const s = serial_.get();
  if (s != nullptr) {
    env_.services.gates().remove_backends(id_, master_->key.pid, standby_->key.pid);
    if (std::exchange(s->standby_unlimited, false)) s->timeouts = SerialState::Timeouts::unknown;
    s->catalogue_changed = true;  // the catalogue that is kept here is the lost server's
    s->prefix.to_master = std::move(s->prefix.to_standby);
    s->prefix.to_standby.clear();
    s->prefix.of_master = std::exchange(s->prefix.of_standby, 0);
    s->to_master = std::move(s->to_standby);
    s->to_standby.clear();
  }
  for (std::size_t i = 0; i < units_.size(); ++i) units_[i].prefix.of_master = units_[i].prefix.of_standby;
  std::swap(master_, standby_);
  master_reader_.set_mapper(oids_.mapper(OidSide::standby));
  if (cut_off_) cut_reader_.emplace(false);
  drop_standby();
  // Whoever waits for the gate may hold, on that server, the lock that this session waits for there.
  if (s != nullptr) leave_gate();
  log::debug("session-went-over", {{"session", std::to_string(id_)}});
  release();
  if (ended()) return;
  MessageSplitter splitter(standbys_reading().whole_limit);
  (void)take_replies(as_bytes(to_come), splitter);
  wake_all();
  // Behind the loop that read the lost one's replies: of those that wait for reply_event_ there is but one.
  asio::post(context_, [self = shared_from_this()] {
    if (!self->ended()) self->spawn(&Session::reply_loop);
  });
}

/// Behind what the lost master had sent of a large row, the frontend gets the rest of the same row. False:
/// nothing of this piece.
bool Session::is_behind_the_cut(MessagePiece& piece) {
  if (!cut_off_ || !ReplyProgress::counts(piece.type)) return true;
  if (piece.first && (piece.type != cut_off_->type || piece.body_size != cut_off_->body_size)) {
    end_unsucceeded("the master's server was lost inside a row, and the other server gives another one");
    return false;
  }
  const std::uint32_t seen = cut_reader_->unfinished() ? cut_reader_->unfinished()->here : 0;
  const std::size_t before = std::min<std::size_t>(cut_off_->here - seen, piece.body.size());
  MessagePiece known = piece;
  known.last = false;
  known.body = piece.body.first(before);
  (void)cut_reader_->on_piece(known);
  const ReplyReader::Unfinished so_far = cut_reader_->unfinished().value_or(ReplyReader::Unfinished{});
  if (so_far.here < cut_off_->here) return false;
  if (so_far.digest != cut_off_->digest) {
    end_unsucceeded("the master's server was lost inside a row, and the other server gives another one");
    return false;
  }
  piece.first = false;
  piece.body = piece.wire = piece.body.subspan(before);
  cut_off_.reset();
  cut_reader_.reset();
  return true;
}

/// A server that is shut down at once says goodbye by a warning ("Error Codes", class 57). If the session
/// goes on there is nothing to warn of, and if not its own error comes.
bool Session::is_goodbye(const MessagePiece& piece) {
  if (piece.type != 'N' || !piece.whole() || !may_be_succeeded()) return false;
  const Result<ServerError> notice = parse_error_response(piece.body);
  if (notice && notice->sqlstate == "57P02") master_crashed_ = true;
  return notice && (notice->sqlstate == "57P01" || notice->sqlstate == "57P02");
}

void Session::end_unsucceeded(const std::string& why, std::string_view sqlstate) {
  const std::string text = "pgtandem: " + why;
  if (cut_off_) return end(EndReason::master_ended, text, {});  // in the middle of a message to the frontend
  end_with_error(EndReason::master_ended, {pgtandem::Severity::fatal, sqlstate, text}, text);
}

AheadReplies::Reading Session::standbys_reading() const {
  return {oids_.reply_limit(), oids_.mapper(OidSide::standby)};
}

/// `place`: the standby's, in front of the piece.
void Session::keep_ahead(const ReplyProgress& place, const MessagePiece& piece) {
  if (env_.settings.pair_mode() && place >= master_reader_.progress()) ahead_.add(place, piece.wire);
}

/// The master has come further.
void Session::drop_ahead() {
  if (ahead_.empty()) return;
  const auto order = standby_reader_.progress() <=> master_reader_.progress();
  // At the same place it may still be within a row of which the master has sent less.
  if (order < 0 || (order == 0 && !standby_reader_.unfinished())) {
    ahead_.clear();
  } else {
    ahead_.master_is_at(master_reader_.progress(), standbys_reading());
  }
}

}  // namespace pgtandem
