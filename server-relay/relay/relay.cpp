#include "server-relay/relay/relay.h"

#include <charconv>

#include <asio/co_spawn.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include "common/base/log.h"
#include "common/protocol/error-response.h"
#include "server-relay/relay/catalogue-reader.h"
#include "server-relay/session/pass-on-session.h"
#include "server-relay/session/raw-session.h"
#include "server-relay/session/session.h"

namespace pgtandem {
namespace {

constexpr unsigned kMaxDefaultThreads =
    4;  ///< more I/O threads only fight over the processors with PostgreSQL

unsigned thread_count(const RelaySettings& settings) {
  if (settings.threads != 0) return settings.threads;
  const unsigned cores = std::thread::hardware_concurrency();
  return std::max(1U, std::min(cores, kMaxDefaultThreads));
}

/// Asked while a statement waits: one that does not answer at once is of no use.
constexpr Milliseconds kBlockersLimit{200};
constexpr const char* kFirstTransactionSql =
    "SELECT 1 FROM pg_stat_activity WHERE pid = $1::integer AND xact_start <= query_start";
constexpr const char* kBlockersSql = "SELECT unnest(pg_blocking_pids($1::integer))::text";

std::string probe_user(const RelaySettings& settings) {
  return settings.service.user.empty() ? "pgtandem" : settings.service.user;
}

}  // namespace

Relay::ThreadPart::ThreadPart(Relay& relay, IoThread& thread, AccessList its_access)
    : settings(relay.settings_), access(std::move(its_access)), environment{settings,      thread,
                                                                            relay.keeper_, relay.legs_,
                                                                            access,        relay.cancels_,
                                                                            relay} {}

Relay::Relay(asio::io_context& control, const RelaySettings& settings, const Secret& pair_key,
             AccessList access)
    : control_(control),
      settings_(settings),
      pair_key_(pair_key),
      right_(settings.witness.configured()),
      legs_(settings, pair_key),
      leg_server_(settings, pair_key,
                  [this](IoThread& thread, Stream stream, std::string client) {
                    on_frontend(thread, std::move(stream), std::move(client));
                  }),
      service_(std::make_unique<ServiceConnection>(settings.own_postmaster(), settings.service)),
      master_probe_(
          control,
          [this](asio::io_context& context, Milliseconds limit) {
            return connect_stream(context, settings_.own_postmaster(), limit);
          },
          probe_user(settings),
          [this](bool answers) {
            if (keeper_ != nullptr)
              keeper_->own_postmaster(answers, answers ? "" : "it takes no new connection");
          }),
      standby_probe_(
          control,
          [this](asio::io_context& context, Milliseconds limit) {
            return legs_.open(context, LegKind::leg, epoch_.load(), "probe", limit);
          },
          probe_user(settings), nullptr),
      divergence_({settings.state_dir}),
      oids_(control.get_executor(),
            [this](std::string database) { return load_catalogues(std::move(database)); }),
      statements_(control.get_executor(), *service_) {
  for (unsigned i = 0; i < thread_count(settings); ++i) {
    threads_.push_back(std::make_unique<IoThread>(keeper_, right_));
    parts_.push_back(std::make_unique<ThreadPart>(*this, *threads_.back(), access));
  }
}

Relay::~Relay() {
  stop();
}

void Relay::start() {
  for (const auto& thread : threads_) thread->start();
}

Result<void> Relay::open() {
  frontends_ = std::make_unique<Listener>(control_, threads_, [this](IoThread& thread, Stream stream) {
    std::string client = stream.peer_name();
    on_frontend(thread, std::move(stream), std::move(client));
  });
  for (const Endpoint& endpoint : settings_.listen) {
    if (Result<void> done = frontends_->listen(endpoint); !done) return done;
  }
  if (!settings_.unix_socket_dir.empty() && !settings_.listen.empty()) {
    if (Result<void> done = frontends_->listen_unix(settings_.unix_socket_dir, settings_.listen.front().port);
        !done) {
      return done;
    }
  }
  if (!settings_.pair_mode()) return {};
  leg_port_ = std::make_unique<Listener>(control_, threads_, [this](IoThread& thread, Stream stream) {
    leg_server_.accept(thread, std::move(stream));
  });
  for (const Endpoint& endpoint : settings_.leg_listen) {
    if (Result<void> done = leg_port_->listen(endpoint); !done) return done;
  }
  return {};
}

void Relay::stop() {
  frontends_.reset();
  leg_port_.reset();
  for (const auto& thread : threads_) thread->stop();
}

Relay::ThreadPart& Relay::part_of(const IoThread& thread) {
  for (const auto& part : parts_) {
    if (&part->environment.thread == &thread) return *part;
  }
  return *parts_.front();
}

void Relay::take_over(const RelaySettings& settings, const AccessList& access) {
  // One copy for all threads to read: the caller's may be gone before the last has.
  const auto fresh = std::make_shared<const std::pair<RelaySettings, AccessList>>(settings, access);
  for (const auto& part : parts_) {
    asio::post(part->environment.thread.context(), [&part = *part, fresh] {
      const RelaySettings& from = fresh->first;
      part.access = fresh->second;
      part.settings.login_timeout = from.login_timeout;
      part.settings.client_stall = from.client_stall;
      part.settings.slow_write = from.slow_write;
      part.settings.slow_writes_overlap = from.slow_writes_overlap;
      part.settings.max_sessions = from.max_sessions;
    });
  }
}

void Relay::ask_threads(std::function<void()> alive) {
  run_on_all([](IoThread&, const std::function<void()>& done) { done(); }, std::move(alive));
}

void Relay::on_frontend(IoThread& thread, Stream stream, std::string client) {
  ThreadPart& part = part_of(thread);
  SessionEnvironment& environment_of_thread = part.environment;
  std::uint64_t open = 0;
  for (const auto& each : threads_) open += each->counters().sessions_open.load(std::memory_order_relaxed);
  if (open >= part.settings.max_sessions) {
    ThreadCounters::add(thread.counters().sessions_refused);
    log::warning(
        "session-ended",
        {{"reason", "too-many-sessions"}, {"client", client}, {"max_sessions", part.settings.max_sessions}});
    const std::string farewell = build_error_response(
        {pgtandem::Severity::fatal, "53300", "pgtandem: sorry, too many clients already (max_sessions)"});
    (void)stream.try_write(as_bytes(farewell));
    stream.close();
  } else if (thread.authority().service == Service::pass_on && !thread.authority().guests) {
    std::make_shared<PassOnSession>(environment_of_thread, std::move(stream), std::move(client))->start();
  } else if (settings_.protocol == Protocol::raw) {
    std::make_shared<RawSession>(environment_of_thread, std::move(stream), std::move(client))->start();
  } else {
    std::make_shared<Session>(environment_of_thread, std::move(stream), std::move(client))->start();
  }
}

/// Runs `work` on every I/O thread; `work` calls what it is given when it is done, and `done` runs on the
/// control thread after the last.
void Relay::run_on_all(std::function<void(IoThread&, std::function<void()>)> work,
                       std::function<void()> done) {
  const auto left = std::make_shared<std::size_t>(threads_.size());
  for (const auto& thread : threads_) {
    asio::post(thread->context(), [this, &thread = *thread, work, done, left] {
      work(thread, [this, done, left] {
        asio::post(control_, [done, left] {
          if (--*left == 0) done();
        });
      });
    });
  }
}

void Relay::set_authority(const Authority& authority, std::function<void()> in_force) {
  epoch_.store(authority.epoch);
  run_on_all(
      [authority](IoThread& thread, std::function<void()> done) {
        thread.set_authority(authority);
        done();
      },
      std::move(in_force));
  const bool begin = authority.guests && !guests_;
  guests_ = authority.guests;
  if (!begin) return;
  run_on_all([](IoThread& thread, std::function<void()> gone) { thread.when_guests_gone(std::move(gone)); },
             [this] {
               if (keeper_ != nullptr) keeper_->guests_ended();
             });
}

void Relay::set_right(Milliseconds until) {
  right_.set_until(until);
  for (const auto& thread : threads_) {
    asio::post(thread->context(), [&thread = *thread] { thread.on_right(); });
  }
}

void Relay::end_sessions(SessionEnd how, Milliseconds limit, const std::string& message,
                         std::function<void(bool)> done) {
  const auto matched = std::make_shared<bool>(true);
  const auto timer = std::make_shared<asio::steady_timer>(control_, limit);
  run_on_all(
      [how, message, matched, this](IoThread& thread, std::function<void()> empty) {
        thread.take_all_matched();
        thread.end_sessions(how, message);
        thread.when_empty([this, &thread, matched, empty = std::move(empty)] {
          const bool all = thread.take_all_matched();
          asio::post(control_, [matched, all] { *matched = *matched && all; });
          empty();
        });
      },
      [matched, timer, done = std::move(done)] {
        timer->cancel();
        done(*matched);
      });
  if (how == SessionEnd::at_once) return;
  timer->async_wait([this, timer, message](std::error_code failure) {
    if (failure) return;
    for (const auto& thread : threads_) {
      asio::post(thread->context(),
                 [&thread = *thread, message] { thread.end_sessions(SessionEnd::at_once, message); });
    }
  });
}

void Relay::refuse_legs_below(Epoch epoch, std::function<void()> done) {
  leg_server_.refuse_below(epoch);
  asio::post(control_, std::move(done));
}

void Relay::end_local_backends(Milliseconds limit, std::function<void(bool, std::string)> done) {
  asio::co_spawn(control_, service_->end_client_backends(limit),
                 [done = std::move(done)](std::exception_ptr thrown, Result<void> ended) {
                   if (thrown) {
                     done(false, "an internal error");
                   } else {
                     done(ended.ok(), ended ? "" : ended.error());
                   }
                 });
}

asio::awaitable<Result<Secret>> Relay::stored_password(std::string role) {
  return service_->stored_password(std::move(role));
}

namespace {

/// The io_context that runs the calling coroutine.
asio::io_context& context_of(const asio::any_io_executor& executor) {
  return static_cast<asio::io_context&>(asio::query(executor, asio::execution::context));
}

}  // namespace

asio::awaitable<bool> Relay::probe_master() {
  co_return co_await master_probe_.ask(context_of(co_await asio::this_coro::executor));
}

asio::awaitable<bool> Relay::probe_standby() {
  co_return co_await standby_probe_.ask(context_of(co_await asio::this_coro::executor));
}

/// By the service connection where there is one: a probe that stops at the authentication request leaves a
/// line in PostgreSQL's log each time.
asio::awaitable<bool> Relay::own_postmaster_answers() {
  if (service_->configured()) co_return co_await service_->probe(Milliseconds(500));
  Result<Stream> stream = co_await connect_stream(control_, settings_.own_postmaster(), Milliseconds(500));
  // Of a server of any other protocol nothing more is known than that it takes connections.
  if (!stream || settings_.protocol == Protocol::raw) co_return bool(stream);
  co_return co_await postmaster_answers(control_, *stream, probe_user(settings_), Milliseconds(500));
}

void Relay::record(SessionDifference found) {
  Difference difference;
  difference.kind = found.kind == MismatchKind::write ? Difference::Kind::write : Difference::Kind::read;
  std::from_chars(found.session.data(), found.session.data() + found.session.size(), difference.session);
  difference.user = std::move(found.user);
  difference.database = std::move(found.database);
  difference.application = std::move(found.application);
  difference.statement = std::move(found.statement);
  difference.what = std::move(found.what);
  difference.master = std::move(found.master_reply);
  difference.standby = std::move(found.standby_reply);
  difference.action = found.action == "stale"     ? Difference::Action::stale
                      : found.action == "refused" ? Difference::Action::refused
                                                  : Difference::Action::logged;
  divergence_.record(std::move(difference));
}

bool Relay::writes_overlapped(SteadyTime begin, int own_open_writes) const {
  const auto began = std::chrono::duration_cast<std::chrono::nanoseconds>(begin.time_since_epoch()).count();
  std::int64_t open = 0;
  for (const auto& thread : threads_) {
    const ThreadCounters& counters = thread->counters();
    if (counters.last_write_end.load(std::memory_order_relaxed) >= began) return true;
    open += counters.open_writes.load(std::memory_order_relaxed);
  }
  return open > own_open_writes;
}

asio::awaitable<Result<OidCatalogue>> Relay::own_catalogue(std::string database) {
  return read_catalogue(*service_, std::move(database));
}

asio::awaitable<Result<CataloguePair>> Relay::load_catalogues(std::string database) {
  Result<OidCatalogue> master = co_await own_catalogue(database);
  if (!master) co_return Error{master.error()};
  Result<OidCatalogue> standby = co_await standby_catalogue_(database);
  if (!standby) co_return Error{standby.error()};
  co_return CataloguePair{std::move(*master), std::move(*standby)};
}

asio::awaitable<std::shared_ptr<const OidMap>> Relay::oids(std::string database) {
  return oids_.get(std::move(database));
}

std::shared_ptr<const std::atomic<std::uint64_t>> Relay::oids_version(const std::string& database) {
  return standby_catalogue_ && service_->configured() ? oids_.version(database) : nullptr;
}

void Relay::oids_changed(const std::string& database) {
  oids_.mark_dirty(database);
}

/// A prepared transaction has no backend: it is 0 ("pg_blocking_pids").
asio::awaitable<std::vector<std::uint32_t>> Relay::blockers(std::uint32_t pid) {
  std::vector<std::uint32_t> pids;
  std::vector<std::string> parameters(1, std::to_string(pid));
  const std::string database = settings_.service.database;
  const Result<ServiceRows> rows =
      co_await service_->query(database, kBlockersSql, std::move(parameters), kBlockersLimit, true);
  if (!rows) co_return pids;
  for (const std::vector<std::string>& row : rows->rows) {
    std::uint32_t blocker = 0;
    if (row.empty()) continue;
    std::from_chars(row[0].data(), row[0].data() + row[0].size(), blocker);
    pids.push_back(blocker);
  }
  co_return pids;
}

/// The first transaction of a statement begins with it, or in the extended protocol before it.
asio::awaitable<bool> Relay::in_first_transaction(std::uint32_t pid) {
  std::vector<std::string> parameters(1, std::to_string(pid));
  const std::string database = settings_.service.database;
  const Result<ServiceRows> rows =
      co_await service_->query(database, kFirstTransactionSql, std::move(parameters), kBlockersLimit, true);
  co_return rows && !rows->rows.empty();
}

asio::awaitable<void> Relay::align_sequences(std::string database) {
  if (!standby_sequences_) co_return;
  Result<std::vector<SequenceValue>> values = co_await read_sequences(*service_, database);
  Result<void> done;
  if (values) done = co_await standby_sequences_(database, std::move(*values));
  if (values && done) co_return;
  const std::string why = values ? done.error() : values.error();
  log::warning("sequences-not-aligned", {{"database", database}, {"error", why}});
}

RelayCounters Relay::counters() const {
  RelayCounters sum;
  for (const auto& thread : threads_) {
    const ThreadCounters& c = thread->counters();
    const auto get = [](const std::atomic<std::uint64_t>& counter) {
      return counter.load(std::memory_order_relaxed);
    };
    RelayCounters one;
    one.sessions_open = get(c.sessions_open);
    one.sessions_total = get(c.sessions_total);
    one.sessions_refused = get(c.sessions_refused);
    one.units = get(c.units);
    one.writes = get(c.writes);
    one.frontend_bytes = get(c.frontend_bytes);
    one.backend_bytes = get(c.backend_bytes);
    one.standby_bytes = get(c.standby_bytes);
    one.differences_writes = get(c.differences_write);
    one.differences_reads = get(c.differences_read);
    one.standby_lag_units = get(c.lag_units);
    for (std::size_t i = 0; i < c.standby_wait.size(); ++i) {
      const std::uint64_t n = get(c.standby_wait[i]);
      one.standby_wait.count += n;
      if (i < one.standby_wait.buckets.size()) one.standby_wait.buckets[i] = n;
    }
    one.standby_wait.sum = double(get(c.standby_wait_us)) / 1e6;
    sum += one;
  }
  sum.difference_entries_lost = divergence_.counts().lost;
  return sum;
}

nlohmann::json Relay::status() const {
  const RelayCounters sum = counters();
  return {{"sessions",
           {{"open", sum.sessions_open}, {"total", sum.sessions_total}, {"refused", sum.sessions_refused}}},
          {"traffic",
           {{"units", sum.units},
            {"writes", sum.writes},
            {"frontend_bytes", sum.frontend_bytes},
            {"backend_bytes", sum.backend_bytes},
            {"standby_bytes", sum.standby_bytes}}},
          {"lag_units", sum.standby_lag_units},
          {"differences", {{"writes", sum.differences_writes}, {"reads", sum.differences_reads}}}};
}

}  // namespace pgtandem
