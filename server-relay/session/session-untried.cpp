/// Discipline `serial`: writes that need no try, for nobody can be in their way and both servers find the
/// same (RowOrder in statements/statement.h; gate/untried-writes.h). They go to both servers as they come,
/// without savepoint and time limit, and within the gate among others of their sort.
///
///   claimed   UPDATE or SELECT FOR UPDATE of one row by its key, once no other session claims that row
///   free      INSERT into a relation without unique keys
///
/// They may still meet a lock that no claim tells of: of somebody who works on a server directly, or of a
/// session that names the same row in another way. Then they wait in the server, outside of the gate, and are
/// looked after.
#include <utility>

#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>

#include "server-relay/session/session.h"

namespace pgtandem {
namespace {

using namespace std::chrono_literals;

/// So long it may take before it counts as waiting: others are kept out of the gate meanwhile.
constexpr auto kSoon = 100ms;
constexpr auto kLook = 50ms;
/// Behind one who waits on the standby in turn: perhaps for the one behind it.
constexpr auto kCrosswise = 500ms;

}  // namespace

/// In a block: outside of one the relay's own COMMIT has to wait for both servers anyway. The client's time
/// limits would run on the standby's clock, too.
bool Session::may_go_untried(const UnitPlan& plan) const {
  const SerialState& s = *serial_;
  const UnitStatement& statement = plan.statement;
  const bool settled_by_claims = statement.row_order == RowOrder::free ||
                                 (statement.row_order == RowOrder::claimed && statement.row_key != 0);
  const bool has_limits = !s.settings_known || s.lock_timeout != "0" || s.statement_timeout != "0";
  return statement.row_local && settled_by_claims && !has_limits && status_ == 'T' && !s.strict &&
         !s.serializable && plan.executes == 1 && plan.completeness == UnitPlan::Completeness::whole &&
         standby_state_ == StandbyState::live && !statement.calls_random();
}

/// True: it is in the gate, and its rows are this session's.
asio::awaitable<bool> Session::admit_untried(const UnitPlan& plan) {
  using Inside = SerialState::Inside;
  SerialState& s = *serial_;
  const std::uint64_t key = plan.statement.row_order == RowOrder::claimed ? plan.statement.row_key : 0;
  while (!ended() && may_go_untried(plan)) {
    if (key != 0 && foreseen(key).session != 0) {
      const Foreseen found = co_await wait_for_foreseen(key, std::chrono::steady_clock::now());
      if (found != Foreseen::moved || cancelled_) co_return false;
      continue;
    }
    // It leaves the gate when both servers have done it, and the standby must not come to it much later.
    co_await nearly_settled();
    if (ended() || cancelled_) co_return false;
    if (s.inside == Inside::outside) co_await enter_gate(GateMode::local, false);
    if (ended() || s.inside != Inside::local) co_return false;
    const bool proven = plan.statement.catalogue_version == s.statements.current_version();
    using Claim = LockForecast::Claim;
    s.new_claim = 0;
    const Claim claim = key == 0 || !proven ? Claim::own_already : claim_rows(key, true);
    const bool claimed = proven && claim != Claim::taken && claim != Claim::not_kept && !cancelled_;
    if (claimed && begin_untried()) co_return true;
    leave_gate();
    if (claim != Claim::taken) co_return false;
  }
  co_return false;
}

/// False: some open transaction has locks that no claim tells of.
bool Session::begin_untried() {
  SerialState& s = *serial_;
  if (!s.counts_untried && !s.order.untried.begin_untried(s.untold)) return false;
  s.counts_untried = true;
  ++s.untried;
  return true;
}

/// What is under way may take as long as it likes, and keeps nobody out any more.
void Session::let_untried_be() {
  SerialState& s = *serial_;
  if (!s.counts_untried) return;
  s.counts_untried = false;
  s.order.untried.end_untried();
  if (s.inside == SerialState::Inside::local) leave_gate();
}

/// Nothing of the sort is under way any more.
void Session::end_untried() {
  SerialState& s = *serial_;
  s.untried = 0;
  s.sends_untried = false;
  if (std::exchange(s.waits_in_server, false)) s.order.waits.unpark(id_);
  let_untried_be();
}

/// A statement of this kind is about to run, whose locks and rows no claim tells of.
void Session::begin_untold(StatementKind kind) {
  if (kind == StatementKind::read || kind == StatementKind::session) return;
  serial_->untold_until_settled = false;
  if (std::exchange(serial_->untold, true)) return;
  serial_->order.untried.begin_untold();
}

/// The transaction is over.
void Session::end_untold() {
  if (std::exchange(serial_->untold, false)) serial_->order.untried.end_untold();
}

/// It takes long: perhaps somebody is in its way nevertheless.
void Session::check_untried(SteadyTime now) {
  SerialState& s = *serial_;
  if (s.untried == 0 || s.waits_in_server) return;
  std::size_t first = 0;  // in front of it there may be what the standby does with it
  while (first < units_.size() && !units_[first].untried) ++first;
  if (first == units_.size() || now - units_[first].began < kSoon) return;
  s.waits_in_server = true;
  spawn(&Session::watch_untried);
}

/// What waits for a row, or has it on the master, finds it on both servers: it may wait outside of the gate.
/// Who waits for it in turn, of those that the relay knows of, would wait for ever: then this one is given
/// up.
asio::awaitable<void> Session::watch_untried() {
  SerialState& s = *serial_;
  const SteadyTime began = std::chrono::steady_clock::now();
  asio::steady_timer timer(context_);
  const auto goes_on = [&] { return !ended() && s.waits_in_server && !units_.empty(); };
  const auto master_is_at_it = [&] { return goes_on() && !master_is_between_units(); };
  while (goes_on()) {
    if (!master_is_at_it() && s.untried_rows != 0) {
      let_untried_be();
      s.order.waits.note_wait_on_standby(id_);
    } else if (master_is_at_it()) {
      const std::vector<std::uint32_t> pids = co_await env_.services.blockers(master_->key.pid);
      if (!master_is_at_it()) continue;
      const std::vector<std::uint64_t> sessions = env_.services.gates().sessions_of(pids, true);
      s.order.waits.unpark(id_);
      if (!pids.empty()) let_untried_be();
      bool stuck = !sessions.empty() && !s.order.waits.park(id_, sessions, [] {});
      if (std::chrono::steady_clock::now() - began > kCrosswise) {
        for (const std::uint64_t session : sessions) stuck = stuck || s.order.waits.waits_on_standby(session);
      }
      s.victim = s.victim || stuck;
      if (stuck) co_await cancel_on_master();
      if (!goes_on()) break;
    }
    timer.expires_after(kLook);
    std::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

/// What the master gave up, the standby may have done, or refused for another reason: nothing is missed, but
/// its transaction has to fail, too. Of an earlier unit, which the standby had still to do, differences count
/// as ever. A read outside of transactions may as well be given up by the standby alone. The transaction that
/// the master did not begin the standby must end.
void Session::forgive_what_commits_nothing() {
  SerialState& s = *serial_;
  const Mismatch* const mismatch = matcher_.pending_mismatch();
  if (mismatch == nullptr || mismatch->unit != s.unit || s.unit < first_unit_ ||
      s.unit >= first_unit_ + units_.size())
    return;
  const Unit& unit = units_[std::size_t(s.unit - first_unit_)];
  if (!unit.forgivable) return;
  const bool standby_gave_up = s.standby.failed() && s.standby.has_own_reasons();
  const bool only_standby = !s.master.failed() && standby_gave_up && status_ == 'I' && !unit.begins;
  const bool master_too = s.master.failed() && (s.master.has_own_reasons() || standby_gave_up);
  if (!only_standby && !master_too) return;
  drop_mismatches();
  s.standby_must_fail = s.standby_must_fail || ((status_ != 'I' || unit.begins) && !s.standby.failed());
}

/// Both have finished it: both transactions fail now, or the one that the standby alone has begun ends.
void Session::fail_standby_too() {
  SerialState& s = *serial_;
  if (!std::exchange(s.standby_must_fail, false) || ended() || standby_state_ != StandbyState::live) return;
  s.youngest_savepoints = 0;
  s.forgiving = true;  // the next unit waits until this is done
  own_unit_text(status_ == 'I' ? "ROLLBACK" : "ROLLBACK TO SAVEPOINT pgtandem_none", true);
  flush_own();
}

}  // namespace pgtandem
