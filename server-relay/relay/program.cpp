#include "server-relay/relay/program.h"

#include <iostream>

#include <asio/co_spawn.hpp>

#include "common/base/log.h"
#include "common/process/reload-log.h"
#include "common/roles/slot-store-folder.h"
#include "common/witness/witness-value.h"
#include "server-relay/control/metrics.h"
#include "server-relay/relay/catalogue-reader.h"
#include "server-relay/relay/process-limits.h"
#include "server-relay/relay/status-line.h"

namespace pgtandem {
namespace {

// sysexits.h
constexpr int kExitUnavailable = 69;
constexpr int kExitSoftware = 70;
constexpr int kExitOsError = 71;
constexpr int kExitCannotCreate = 73;
constexpr int kExitConfig = 78;

/// What a stop in order may take besides the time-outs that are configured.
constexpr Milliseconds kStopMargin{10000};
constexpr Milliseconds kCatalogueLimit{15000};

std::unique_ptr<PeerLink> make_link(const RelaySettings& settings, const Secret& pair_key) {
  if (!settings.pair_mode()) return nullptr;
  return std::make_unique<HttpPeerLink>(Endpoint{settings.peer().host, settings.peer().control_port},
                                        pair_key);
}

KeeperOptions options_for(const RelaySettings& settings, const Secret& pair_key, Relay& relay,
                          Arbiters arbiters) {
  KeeperOptions options = keeper_options(settings, pair_key);
  options.witness = std::move(arbiters.witness);
  if (options.witness) options.witness_key = witness_key(settings.witness.prefix, settings.cluster);
  options.hook = std::move(arbiters.hook);
  options.probe = [&relay] { return relay.own_postmaster_answers(); };
  return options;
}

ControlHandlers handlers_for(Keeper& keeper, std::function<std::string()> status,
                             std::function<std::string()> metrics) {
  ControlHandlers handlers;
  handlers.status_json = std::move(status);
  handlers.metrics_text = std::move(metrics);
  handlers.role = [&keeper] { return keeper.role(); };
  handlers.command = [&keeper](const ControlRequest& request, ControlResponder respond) {
    keeper.handle_command(request, std::move(respond));
  };
  handlers.peer = [&keeper](const ControlRequest& request, ControlResponder respond) {
    keeper.handle_peer(request, std::move(respond));
  };
  handlers.record = [&keeper](const ControlRequest& request, ControlResponder respond) {
    keeper.handle_record(request, std::move(respond));
  };
  return handlers;
}

}  // namespace

RelayProgram::RelayProgram(RelayInputs inputs, std::unique_ptr<SlotStore> store, Arbiters arbiters,
                           ServiceNotifier notifier, Reread reread)
    : inputs_(std::move(inputs)),
      reread_(std::move(reread)),
      settings_(inputs_.settings()),
      pair_key_(inputs_.key),
      relay_(control_, settings_, pair_key_, inputs_.access),
      keeper_(control_, options_for(settings_, pair_key_, relay_, std::move(arbiters)), relay_,
              std::move(store), make_link(settings_, pair_key_)),
      control_server_(
          control_, settings_.control.listen, std::string(inputs_.token.reveal()),
          handlers_for(
              keeper_, [this] { return status_json(); }, [this] { return metrics_text(counters()); })),
      supervision_(control_, std::move(notifier), supervision_handlers()) {
  relay_.set_keeper(&keeper_);
  if (!settings_.pair_mode() && settings_.standby && !settings_.service.user.empty()) {
    standby_service_ = std::make_unique<ServiceConnection>(*settings_.standby, settings_.service);
    relay_.set_standby_catalogue(
        [this](std::string database) { return read_catalogue(*standby_service_, std::move(database)); });
    relay_.set_standby_sequences([this](std::string database, std::vector<SequenceValue> wanted) {
      return set_sequences(*standby_service_, std::move(database), std::move(wanted));
    });
  }
  if (settings_.pair_mode()) {
    serve_catalogues();
    relay_.set_standby_catalogue(
        [this](std::string database) { return ask_for_catalogue(std::move(database)); });
    serve_sequences();
    relay_.set_standby_sequences([this](std::string database, std::vector<SequenceValue> wanted) {
      return ask_for_sequences(std::move(database), std::move(wanted));
    });
  }
  keeper_.on_change([this] {
    note_role();
    control_server_.publish();
    supervision_.status_changed();
  });
}

RelayProgram::~RelayProgram() {
  relay_.stop();
}

Result<void> RelayProgram::run(Launch& launch) {
  relay_.start();
  keeper_.start();
  if (Result<void> opened = open(); !opened) return opened;
  log::info("relay-started", {{"version", PGTANDEM_VERSION},
                              {"mode", settings_.pair_mode() ? "pair" : "flags"},
                              {"node", to_string(settings_.node)},
                              {"state_dir", settings_.state_dir}});
  supervision_.ready();
  launch.ready();
  control_.run();
  relay_.stop();
  log::info("relay-stopped");
  return {};
}

Result<void> RelayProgram::open() {
  if (Result<void> done = control_server_.start(); !done) return done;
  return relay_.open();
}

SupervisionHandlers RelayProgram::supervision_handlers() {
  SupervisionHandlers handlers;
  handlers.stop = [this] { keeper_.stop([this] { control_.stop(); }); };
  handlers.stop_at_once = [this] { control_.stop(); };
  handlers.reload = [this] { reload(); };
  handlers.status = [this] { return status_line(keeper_.status(), relay_.counters().sessions_open); };
  handlers.probe = [this](std::function<void()> alive) { relay_.ask_threads(std::move(alive)); };
  handlers.stop_limit = 2 * settings_.stop_timeout + 3 * settings_.standby_timeout + kStopMargin;
  return handlers;
}

/// All or nothing: with an error in any of the inputs everything stays as it is.
void RelayProgram::reload() {
  Result<RelayInputs> fresh = reread_();
  Result<void> done;
  if (!fresh) done = Error{fresh.error()};
  if (done) done = log::open(fresh->settings().log);
  if (!done) return log_failed_reload(done.error());
  for (const std::string& warning : fresh->loaded.warnings) log::warning("settings", {{"text", warning}});
  relay_.take_over(fresh->settings(), fresh->access);
  control_server_.set_token(std::string(fresh->token.reveal()));
  log_reload(changed_inputs(inputs_, *fresh));
  pgtandem::take_over(inputs_, std::move(*fresh));
}

/// The other relay, when it is the active one, maps oids by this node's catalogue (hard point 7).
void RelayProgram::serve_catalogues() {
  keeper_.register_peer_verb(
      "catalogue", [this](nlohmann::json request, std::function<void(nlohmann::json)> answer) {
        asio::co_spawn(control_, answer_with_catalogue(request.value("database", ""), answer),
                       [answer](std::exception_ptr thrown) {
                         if (thrown) answer({{"error", "an internal error"}});
                       });
      });
}

asio::awaitable<void> RelayProgram::answer_with_catalogue(std::string database,
                                                          std::function<void(nlohmann::json)> answer) {
  const Result<OidCatalogue> catalogue = co_await relay_.own_catalogue(std::move(database));
  nlohmann::json body;
  body[catalogue ? "catalogue" : "error"] = catalogue ? catalogue->to_json() : catalogue.error();
  answer(std::move(body));
}

asio::awaitable<Result<OidCatalogue>> RelayProgram::ask_for_catalogue(std::string database) {
  nlohmann::json request = {{"database", database}};
  const Result<nlohmann::json> answer =
      co_await keeper_.ask_peer("catalogue", std::move(request), kCatalogueLimit);
  if (!answer) co_return Error{answer.error()};
  const auto text = answer->find("catalogue");
  if (text == answer->end() || !text->is_string())
    co_return Error{"the other relay: " + answer->value("error", "no catalogue")};
  co_return OidCatalogue::from_json(text->get<std::string>());
}

/// The other relay, when it is the active one, has this node's sequences set.
void RelayProgram::serve_sequences() {
  keeper_.register_peer_verb("sequences",
                             [this](nlohmann::json request, std::function<void(nlohmann::json)> answer) {
                               asio::co_spawn(control_, answer_with_sequences(std::move(request), answer),
                                              [answer](std::exception_ptr thrown) {
                                                if (thrown) answer({{"error", "the request is none"}});
                                              });
                             });
}

asio::awaitable<void> RelayProgram::answer_with_sequences(nlohmann::json request,
                                                          std::function<void(nlohmann::json)> answer) {
  std::string database = request.at("database").get<std::string>();
  std::vector<SequenceValue> wanted = sequences_from(request.at("sequences"));
  const Result<void> done = co_await set_sequences(relay_.service(), std::move(database), std::move(wanted));
  nlohmann::json body = nlohmann::json::object();
  if (!done) body["error"] = done.error();
  answer(std::move(body));
}

asio::awaitable<Result<void>> RelayProgram::ask_for_sequences(std::string database,
                                                              std::vector<SequenceValue> wanted) {
  nlohmann::json request = nlohmann::json::object();
  request["database"] = database;
  request["sequences"] = to_json(wanted);
  const Result<nlohmann::json> answer =
      co_await keeper_.ask_peer("sequences", std::move(request), kCatalogueLimit);
  if (!answer) co_return Error{answer.error()};
  if (answer->contains("error")) co_return Error{"the other relay: " + answer->value("error", "")};
  co_return Result<void>{};
}

/// Oids are read anew when the pair is another one, or one of the two was loaded anew.
void RelayProgram::note_role() {
  const nlohmann::json status = keeper_.status();
  const nlohmann::json& role = status.at("role");
  const std::string generation = role.value("generation", "") + (role.value("sync", false) ? "+" : "-");
  if (generation == noted_generation_) return;
  noted_generation_ = generation;
  relay_.forget_oids();
}

RelayCounters RelayProgram::counters() const {
  RelayCounters counters = relay_.counters();
  const nlohmann::json status = keeper_.status();
  counters.state = status.at("role").value("state", "");
  counters.epoch = status.at("role").value("epoch", std::uint64_t{0});
  counters.standby_joined = status.at("standby").value("joined", false);
  counters.guests = status.value("guests", false);
  const nlohmann::json& witness = status.at("witness");
  counters.witness = witness.is_object();
  if (counters.witness) {
    counters.witness_answers = witness.value("answers", false) && witness.value("flaw", "").empty();
    if (status.at("right_ms").is_number())
      counters.right_seconds = double(status.at("right_ms").get<std::int64_t>()) / 1000;
  }
  counters.node = settings_.pair_mode() ? std::string(to_string(settings_.node)) : "a";
  counters.uptime_seconds = std::uint64_t(
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - started_).count());
  return counters;
}

std::string RelayProgram::status_json() const {
  nlohmann::json status = keeper_.status();
  const nlohmann::json floor = relay_.status();
  const auto address = [](const NodeSettings& node) -> nlohmann::json {
    return {{"host", node.host}, {"relay_port", node.relay_port}, {"control_port", node.control_port}};
  };
  status["version"] = PGTANDEM_VERSION;
  status["node"] = settings_.pair_mode() ? to_string(settings_.node) : "a";
  status["mode"] = settings_.pair_mode() ? "pair" : "flags";
  status["protocol"] = settings_.protocol == Protocol::raw ? "raw" : "postgres";
  status["discipline"] = settings_.discipline == Discipline::serial ? "serial" : "classic";
  status["uptime_s"] =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - started_).count();
  if (settings_.pair_mode()) {
    status["nodes"] = {{"a", address(settings_.a)}, {"b", address(settings_.b)}};
  } else {
    status["nodes"] = nlohmann::json::object();
  }
  status["sessions"] = floor.at("sessions");
  status["traffic"] = floor.at("traffic");
  status["differences"] = floor.at("differences");
  status["standby"]["lag_units"] = floor.at("lag_units");
  return status.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

int run_relay_program(int argc, const char* const* argv) {
  ignore_broken_pipes();
  ServiceNotifier notifier = ServiceNotifier::from_environment();
  Launch launch;
  const auto fail = [&launch](int status, const std::string& why) {
    std::cerr << "pgtandem-relay: " << why << std::endl;
    return launch.failed(status);
  };
  const auto read = [argc, argv] { return read_relay_inputs(argc, argv); };
  Result<RelayInputs> inputs = read();
  if (!inputs) return fail(kExitConfig, inputs.error());
  if (inputs->loaded.answer) {
    std::cout << *inputs->loaded.answer;
    return 0;
  }
  const LaunchOptions options = inputs->loaded.launch;
  Result<Launch> launched = Launch::begin(options.daemon);
  if (!launched) return fail(kExitOsError, launched.error());
  launch = std::move(*launched);
  if (!options.pid_file.empty()) {
    if (const Result<void> taken = launch.take_pid_file(options.pid_file); !taken)
      return fail(kExitCannotCreate, taken.error());
  }
  const RelaySettings& settings = inputs->settings();
  if (const Result<void> opened = log::open(settings.log); !opened) return fail(kExitConfig, opened.error());
  for (const std::string& warning : inputs->loaded.warnings) log::warning("settings", {{"text", warning}});
  Result<Arbiters> arbiters = make_arbiters(settings, inputs->key);
  if (!arbiters) return fail(kExitConfig, arbiters.error());
  Result<std::unique_ptr<SlotStore>> store = open_slot_store(settings.state_dir);
  if (!store) return fail(kExitConfig, store.error());
  raise_descriptor_limit();
  try {
    RelayProgram program(std::move(*inputs), std::move(*store), std::move(*arbiters), std::move(notifier),
                         read);
    const Result<void> ran = program.run(launch);
    return ran ? 0 : fail(kExitUnavailable, ran.error());
  } catch (const std::exception& e) {
    return fail(kExitSoftware, std::string("an internal error: ") + e.what());
  }
}

}  // namespace pgtandem
