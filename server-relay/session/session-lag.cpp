/// Discipline `serial`: what the standby gets together with the unit behind it. Under load each write to a
/// server costs the relay and that server a system call and a switch of processes, and nobody has to wait for
/// the standby's answer to a BEGIN, to a read in a block, or, while the standby answers at all, to another
/// read: what that tells of is on both servers or on its way to the standby.
///
///   f->r BEGIN    r->m BEGIN    m->r->f its reply
///   f->r UPDATE   r->m UPDATE   r->s BEGIN UPDATE
///
/// What is kept so goes out with whatever is sent next, where somebody waits for the standby, and at the next
/// tick of the thread. A transaction that the master has begun holds its locks there, and so nobody gets past
/// it on the standby meanwhile. The replies are compared as ever.
#include "server-relay/session/session.h"

namespace pgtandem {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMostKept = 8;
/// Units that the standby may be behind before a read waits for it.
constexpr std::size_t kMostBehind = 32;
constexpr std::size_t kLongestKept = 2048;  ///< bytes; a longer one is no cheaper to send with others
/// So little, as the master did it, may stand before a write without a try. Sessions wait as long for a
/// processor on a busy server.
constexpr std::size_t kMostInFront = 2;
constexpr auto kLittle = 10ms;
/// The standby may be cut off, and what the master has committed since may be lost with the master: so long
/// at most do reads tell of it.
constexpr auto kFresh = 10ms;

}  // namespace

/// BEGIN, and reads that leave nothing behind: what a cursor finds depends on when it is declared.
bool Session::may_lag(const UnitPlan& plan) const {
  const UnitStatement& statement = plan.statement;
  const bool begins = status_ == 'I' && statement.kind == StatementKind::begin;
  const bool has_text = statement.facts != nullptr;
  const bool reads = (status_ == 'T' || (status_ == 'I' && standby_was_heard())) &&
                     statement.kind == StatementKind::read && !statement.names_another && !plan.in_parts &&
                     (!has_text || statement.facts->kind == StatementKind::read);
  return (begins || reads) && plan.completeness == UnitPlan::Completeness::whole && plan.executes == 1 &&
         standby_state_ == StandbyState::live && units_.size() < kMostBehind && !serial_->deferring;
}

void Session::keep_for_standby(ByteSpan run) {
  standby_->out.send_later(run);
  if (run.size() > kLongestKept || standby_->out.kept() >= kMostKept) flush_laggards();
}

bool Session::standby_was_heard() const {
  return std::chrono::steady_clock::now() - env_.standby_heard <= kFresh;
}

/// The master's reply to what lags. If not, it waits for the standby's, as any other.
bool Session::may_tell_without_standby() {
  const bool may = standby_state_ == StandbyState::live && standby_was_heard() && env_.thread.may_release();
  if (!may) flush_laggards();
  return may;
}

/// All else the standby has finished.
bool Session::only_laggards_left() const {
  return standby_state_ == StandbyState::live && units_.size() == standby_->out.kept();
}

/// The standby has no more to do than a few reads that the master did in no time, and gets them with what
/// comes next.
bool Session::standby_is_near() const {
  if (serial_->aligning) return false;
  if (units_.empty()) return true;
  if (!only_laggards_left() || units_.size() > kMostInFront) return false;
  SteadyTime::duration sum{0};
  for (std::size_t i = 0; i < units_.size(); ++i) sum += units_[i].master_done - units_[i].began;
  return sum <= kLittle;
}

/// For a write that another session's may get past on the standby, while the standby has something else to
/// do: under another name of its row.
asio::awaitable<void> Session::nearly_settled() {
  while (!ended() && !standby_is_near()) {
    flush_laggards();
    co_await serial_->event.wait();
  }
}

/// Somebody waits for the standby, or has waited long enough.
void Session::flush_laggards() {
  if (standby_state_ == StandbyState::live) standby_->out.flush(owner());
}

}  // namespace pgtandem
