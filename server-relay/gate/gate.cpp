#include "server-relay/gate/gate.h"

#include <algorithm>

namespace pgtandem {
namespace {

bool contains(const std::vector<std::uint64_t>& sessions, std::uint64_t session) {
  return std::ranges::find(sessions, session) != sessions.end();
}

bool is_shared(GateMode mode) {
  return mode == GateMode::end || mode == GateMode::local;
}

}  // namespace

bool Gate::fits(const GateRequest& request) const {
  if (inside_.empty()) return true;
  if (may_pass_beside_holder(request)) return true;
  return is_shared(request.mode) && is_shared(inside_.front().mode);
}

bool Gate::may_pass_beside_holder(const GateRequest& request) const {
  return (request.mode == GateMode::end || request.before_end) && inside_.size() == 1 &&
         inside_.front().mode == GateMode::alone && contains(passing_, request.session);
}

/// Keeps new reads out first: then those under way can only become fewer.
bool Gate::reads_are_over(const GateRequest& request) {
  if (!request.excludes_reads) return true;
  reads_excluded_.store(true);
  return reading_.load() == 0;
}

bool Gate::enter(const GateRequest& request, Granted granted) {
  const std::lock_guard lock(mutex_);
  const bool first = waiting_.empty() || request.mode == GateMode::end || may_pass_beside_holder(request);
  if (first && fits(request) && reads_are_over(request)) {
    inside_.push_back(request);
    return true;
  }
  waiting_.push_back({request, std::move(granted)});
  return false;
}

void Gate::turn_into_end(std::uint64_t session) {
  Calls calls;
  {
    const std::lock_guard lock(mutex_);
    const auto it = std::ranges::find(inside_, session, &GateRequest::session);
    if (it == inside_.end()) return;
    if (it->mode == GateMode::alone) passing_.clear();
    it->mode = GateMode::end;
    it->excludes_reads = false;
    let_in(calls);
  }
  call(calls);
}

void Gate::let_others_pass(std::uint64_t session) {
  Calls calls;
  {
    const std::lock_guard lock(mutex_);
    const auto it = std::ranges::find(inside_, session, &GateRequest::session);
    if (it == inside_.end()) return;
    if (it->mode == GateMode::alone) passing_.clear();
    inside_.erase(it);
    let_in(calls);
  }
  call(calls);
}

void Gate::leave(std::uint64_t session) {
  Calls calls;
  {
    const std::lock_guard lock(mutex_);
    const auto of_session = [session](const GateRequest& r) { return r.session == session; };
    const auto it = std::ranges::find_if(inside_, of_session);
    if (it != inside_.end()) {
      if (it->mode == GateMode::alone) passing_.clear();
      inside_.erase(it);
    } else {
      std::erase_if(waiting_, [&](const Waiting& waiting) { return of_session(waiting.request); });
    }
    let_in(calls);
  }
  call(calls);
}

void Gate::let_in(Calls& calls) {
  const auto excludes = [](const GateRequest& r) { return r.excludes_reads; };
  let_ends_in(calls);
  while (!waiting_.empty() && fits(waiting_.front().request) && reads_are_over(waiting_.front().request)) {
    inside_.push_back(waiting_.front().request);
    calls.push_back(std::move(waiting_.front().granted));
    waiting_.pop_front();
  }
  const bool first_excludes = !waiting_.empty() && excludes(waiting_.front().request) && inside_.empty();
  if (!reads_excluded_.load() || first_excludes || std::ranges::any_of(inside_, excludes)) return;
  reads_excluded_.store(false);
  for (Granted& reader : readers_waiting_) {
    reading_.fetch_add(1);
    calls.push_back(std::move(reader));
  }
  readers_waiting_.clear();
}

/// Where nobody is inside, or ends pass, every end that waits does; beside one who is alone, those that he
/// waits for.
void Gate::let_ends_in(Calls& calls) {
  const bool ends_pass = inside_.empty() || is_shared(inside_.front().mode);
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    const bool end = it->request.mode == GateMode::end;
    if ((end && ends_pass) || may_pass_beside_holder(it->request)) {
      inside_.push_back(it->request);
      calls.push_back(std::move(it->granted));
      it = waiting_.erase(it);
    } else {
      ++it;
    }
  }
}

void Gate::call(Calls& calls) {
  for (Granted& granted : calls) granted();
}

bool Gate::enter_read(Granted granted) {
  reading_.fetch_add(1);
  if (!reads_excluded_.load()) return true;
  Calls calls;
  bool may_go_on = false;
  {
    const std::lock_guard lock(mutex_);
    may_go_on = !reads_excluded_.load();
    if (!may_go_on) {
      readers_waiting_.push_back(std::move(granted));
      if (reading_.fetch_sub(1) == 1) let_in(calls);
    }
  }
  call(calls);
  return may_go_on;
}

void Gate::leave_read() {
  if (reading_.fetch_sub(1) != 1 || !reads_excluded_.load()) return;
  Calls calls;
  {
    const std::lock_guard lock(mutex_);
    let_in(calls);
  }
  call(calls);
}

void Gate::let_ends_pass(std::uint64_t holder, std::vector<std::uint64_t> sessions) {
  Calls calls;
  {
    const std::lock_guard lock(mutex_);
    const auto it = std::ranges::find(inside_, holder, &GateRequest::session);
    if (it == inside_.end() || it->mode != GateMode::alone) return;
    passing_ = std::move(sessions);
    let_in(calls);
  }
  call(calls);
}

std::uint64_t Gate::waiting_without_end(const std::vector<std::uint64_t>& sessions) const {
  const std::lock_guard lock(mutex_);
  for (const Waiting& waiting : waiting_) {
    const GateRequest& request = waiting.request;
    if (request.mode != GateMode::end && !request.before_end && contains(sessions, request.session))
      return request.session;
  }
  return 0;
}

Gate::Counts Gate::counts() const {
  const std::lock_guard lock(mutex_);
  return {inside_.size(), waiting_.size(), std::size_t(std::max<std::int64_t>(reading_.load(), 0))};
}

}  // namespace pgtandem
