#include "server-relay/control/control-server.h"

#include <algorithm>
#include <exception>
#include <vector>

#include <asio/steady_timer.hpp>

#include "common/base/secret.h"
#include "server-relay/control/control-listener.h"
#include "server-relay/control/control-routes.h"
#include "server-relay/control/listen-addresses.h"
#include "server-relay/control/status-page.h"
#include "server-relay/control/watch-hub.h"

namespace pgtandem {
namespace {

using control_http::Connections;
using control_http::Listener;
using restinio::request_handle_t;

constexpr std::chrono::seconds kHeartbeat{1};

restinio::http_status_line_t status_line(unsigned status) {
  return {restinio::http_status_code_t{std::uint16_t(status)}, std::string(reason_phrase(status))};
}

template <typename Builder>
void add_headers(Builder& response, const ControlReply& reply) {
  response.connection_close();
  response.append_header(restinio::http_field::content_type, reply.content_type);
  response.append_header(restinio::http_field::cache_control, "no-store");
  response.append_header("X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : reply.headers) response.append_header(name, value);
}

void answer(const request_handle_t& request, ControlReply reply) {
  if (request->header().method() == restinio::http_method_head()) {
    auto response = request->create_response<restinio::user_controlled_output_t>(status_line(reply.status));
    add_headers(response, reply);
    response.set_content_length(reply.body.size());
    response.done();
    return;
  }
  auto response = request->create_response(status_line(reply.status));
  add_headers(response, reply);
  response.set_body(std::move(reply.body)).done();
}

ControlReply page_reply() {
  ControlReply reply = ok_reply(std::string(status_page()), "text/html; charset=utf-8");
  reply.headers.emplace_back("Content-Security-Policy", status_page_policy());
  reply.headers.emplace_back("Referrer-Policy", "no-referrer");
  return reply;
}

std::string header_value(const request_handle_t& request, std::string_view name) {
  return request->header().get_field_or(name, std::string());
}

ControlRequest to_control_request(const request_handle_t& request) {
  const auto& header = request->header();
  ControlRequest result;
  result.method = header.method().c_str();
  result.path = std::string(header.path());
  result.query = std::string(header.query());
  result.body = request->body();
  result.nonce = header_value(request, "X-Pgtandem-Nonce");
  result.mac = header_value(request, "X-Pgtandem-Mac");
  result.client = request->remote_endpoint().address().to_string();
  return result;
}

WatchEvent to_event(std::string status) {
  // An event ends at an empty line. In JSON a line break stands only between tokens.
  std::replace(status.begin(), status.end(), '\n', ' ');
  return std::make_shared<std::string>("data: " + status + "\n\n");
}

/// A watcher's stream over RESTinio; `sent` is told how each write ended.
class HttpWatchStream : public WatchStream {
 public:
  HttpWatchStream(const request_handle_t& request, std::function<void(bool)> sent)
      : response_(request->create_response<restinio::chunked_output_t>(status_line(200))),
        sent_(std::move(sent)) {
    ControlReply head;
    head.content_type = "text/event-stream";
    add_headers(response_, head);
  }
  void send(const WatchEvent& event) override {
    response_.append_chunk(restinio::writable_item_t(event));
    response_.flush([sent = sent_](const asio::error_code& error) { sent(!error); });
  }
  void finish() override { response_.done(); }

 private:
  restinio::response_builder_t<restinio::chunked_output_t> response_;
  std::function<void(bool)> sent_;
};

/// The one answer to a request that a handler took; answers 500 itself if the handler dropped it.
class PendingAnswer {
 public:
  PendingAnswer(request_handle_t request, std::weak_ptr<void> server)
      : request_(std::move(request)), server_(std::move(server)) {}
  PendingAnswer(const PendingAnswer&) = delete;
  PendingAnswer& operator=(const PendingAnswer&) = delete;
  ~PendingAnswer() {
    if (answered_ || server_.expired()) return;
    try {
      answer(request_,
             error_reply(500, "the relay gave no answer to this request", "look into the relay's log"));
    } catch (const std::exception& e) {
      log::error("control-answer-failed", {{"why", e.what()}});
    }
  }
  void send(ControlReply reply) {
    if (std::exchange(answered_, true)) return;
    answer(request_, std::move(reply));
  }

 private:
  request_handle_t request_;
  std::weak_ptr<void> server_;
  bool answered_ = false;
};

}  // namespace

class ControlServer::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& context, std::vector<Endpoint> listen, std::string token, ControlHandlers handlers)
      : context_(context),
        listen_(std::move(listen)),
        token_(Secret::take(token)),
        handlers_(std::move(handlers)),
        timer_(context) {}

  Result<void> start();
  void set_token(std::string token) { token_ = Secret::take(token); }
  std::vector<Endpoint> listening() const;
  void publish();
  void stop();

 private:
  using Handler = std::function<void(const ControlRequest&, ControlResponder)>;

  std::unique_ptr<Listener> open(asio::ip::tcp::endpoint address);
  restinio::request_handling_status_t on_request(const request_handle_t& request);
  void route(const request_handle_t& request);
  void watch(const request_handle_t& request);
  void pass(const request_handle_t& request, const Handler& handler);
  void offer_status();
  void start_heartbeat();
  void heartbeat();
  void reopen_stuck_listeners();

  asio::io_context& context_;
  std::vector<Endpoint> listen_;
  Secret token_;
  ControlHandlers handlers_;
  asio::steady_timer timer_;
  std::shared_ptr<Connections> connections_ = std::make_shared<Connections>();
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<asio::ip::tcp::endpoint> to_reopen_;
  unsigned next_listener_ = 0;
  WatchHub hub_;
  bool offer_posted_ = false;
  bool stopped_ = false;
};

std::unique_ptr<Listener> ControlServer::Impl::open(asio::ip::tcp::endpoint address) {
  auto handler = [weak = weak_from_this()](const request_handle_t& request) {
    if (const auto self = weak.lock()) return self->on_request(request);
    return restinio::request_rejected();
  };
  return std::make_unique<Listener>(context_, std::move(address), next_listener_++, connections_,
                                    std::move(handler));
}

Result<void> ControlServer::Impl::start() {
  for (const Endpoint& endpoint : listen_) {
    const auto addresses = listen_addresses(endpoint);
    if (!addresses) return Error{addresses.error()};
    for (const auto& address : *addresses) {
      try {
        listeners_.push_back(open(address));
      } catch (const std::exception& e) {
        listeners_.clear();
        return Error{"the control port cannot listen on " + to_string(endpoint) + ": " + e.what() +
                     "; choose another address with --control or [listen] control"};
      }
    }
  }
  start_heartbeat();
  return {};
}

std::vector<Endpoint> ControlServer::Impl::listening() const {
  std::vector<Endpoint> result;
  for (const auto& listener : listeners_) {
    result.push_back({listener->address().address().to_string(), listener->address().port()});
  }
  return result;
}

restinio::request_handling_status_t ControlServer::Impl::on_request(const request_handle_t& request) {
  try {
    if (stopped_) {
      answer(request, error_reply(503, "the relay is stopping", "ask the other relay, or try again later"));
    } else {
      route(request);
    }
  } catch (const std::exception& e) {
    log::error("control-request-failed",
               {{"path", std::string(request->header().path())}, {"why", e.what()}});
    // Where the answer has begun already there is nothing left to say: RESTinio then closes at its time
    // limit.
    try {
      answer(request,
             error_reply(500, "the relay could not answer this request", "look into the relay's log"));
    } catch (const std::exception&) {
      return restinio::request_accepted();
    }
  }
  return restinio::request_accepted();
}

void ControlServer::Impl::route(const request_handle_t& request) {
  const std::string method = request->header().method().c_str();
  const std::string path(request->header().path());
  const Route target = find_route(method, path);
  if (target == Route::command || target == Route::check_token) {
    const TokenCheck check = check_token(header_value(request, "Authorization"), token_.reveal());
    if (check != TokenCheck::accepted) {
      connections_->complain(request->remote_endpoint().address().to_string(),
                             "POST " + path + ": " + std::string(to_string(check)));
      return answer(request, refuse_token(check));
    }
  }
  switch (target) {
    case Route::page:
      return answer(request, page_reply());
    case Route::status:
      return answer(request, ok_reply(handlers_.status_json()));
    case Route::metrics:
      return answer(request, ok_reply(handlers_.metrics_text(), "text/plain; version=0.0.4"));
    case Route::master:
      return answer(request, role_reply(RoleAnswer::master, handlers_.role()));
    case Route::standby:
      return answer(request, role_reply(RoleAnswer::standby, handlers_.role()));
    case Route::watch:
      return watch(request);
    case Route::command:
      return pass(request, handlers_.command);
    case Route::check_token:
      return answer(request, ok_reply("{\"ok\":true}\n"));
    case Route::peer:
      return pass(request, handlers_.peer);
    case Route::record:
      return pass(request, handlers_.record);
    case Route::not_found:
      return answer(request, not_found_reply(path));
    case Route::wrong_method:
      return answer(request, wrong_method_reply(method, path));
  }
}

void ControlServer::Impl::pass(const request_handle_t& request, const Handler& handler) {
  if (!handler) return answer(request, not_found_reply(request->header().path()));
  auto pending = std::make_shared<PendingAnswer>(request, weak_from_this());
  handler(to_control_request(request), [pending](ControlReply reply) { pending->send(std::move(reply)); });
}

void ControlServer::Impl::watch(const request_handle_t& request) {
  if (hub_.size() >= kMaxWatchers) {
    return answer(request, error_reply(503, "64 watchers are connected, and this relay serves no more",
                                       "ask /v1/status now and then instead"));
  }
  const WatchEvent event = to_event(handlers_.status_json());
  // RESTinio may tell the end of a write from inside the call that began it: posted, so that the hub is never
  // entered twice.
  auto sent = [weak = weak_from_this(), id = hub_.next_id()](bool written) {
    const auto self = weak.lock();
    if (!self) return;
    asio::post(self->context_, [weak, id, written] {
      if (const auto later = weak.lock()) later->hub_.sent(id, written);
    });
  };
  hub_.add(std::make_unique<HttpWatchStream>(request, std::move(sent)), event);
}

void ControlServer::Impl::publish() {
  if (hub_.size() == 0 || stopped_ || std::exchange(offer_posted_, true)) return;
  asio::post(context_, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->offer_posted_ = false;
    self->offer_status();
  });
}

void ControlServer::Impl::offer_status() {
  if (stopped_ || hub_.size() == 0) return;
  try {
    hub_.offer(to_event(handlers_.status_json()));
  } catch (const std::exception& e) {
    log::error("control-status-failed", {{"why", e.what()}});
  }
}

void ControlServer::Impl::start_heartbeat() {
  timer_.expires_after(kHeartbeat);
  timer_.async_wait([weak = weak_from_this()](const asio::error_code& error) {
    const auto self = weak.lock();
    if (error || !self || self->stopped_) return;
    self->heartbeat();
    self->start_heartbeat();
  });
}

void ControlServer::Impl::heartbeat() {
  connections_->tick();
  reopen_stuck_listeners();
  offer_status();
}

void ControlServer::Impl::reopen_stuck_listeners() {
  std::erase_if(listeners_, [this](const std::unique_ptr<Listener>& listener) {
    const bool stuck = listener->stuck();
    if (stuck) to_reopen_.push_back(listener->address());
    return stuck;
  });
  std::erase_if(to_reopen_, [this](const asio::ip::tcp::endpoint& address) {
    try {
      listeners_.push_back(open(address));
      log::warning("control-port-reopened", {{"port", unsigned(address.port())}});
      return true;
    } catch (const std::exception& e) {
      connections_->complain("", std::string("the control port cannot be opened again: ") + e.what());
      return false;
    }
  });
}

void ControlServer::Impl::stop() {
  if (std::exchange(stopped_, true)) return;
  timer_.cancel();
  listeners_.clear();
  hub_.finish_all();
}

ControlServer::ControlServer(asio::io_context& context, std::vector<Endpoint> listen, std::string token,
                             ControlHandlers handlers)
    : impl_(std::make_shared<Impl>(context, std::move(listen), std::move(token), std::move(handlers))) {}

ControlServer::~ControlServer() {
  impl_->stop();
}

Result<void> ControlServer::start() {
  return impl_->start();
}
void ControlServer::set_token(std::string token) {
  impl_->set_token(std::move(token));
}
std::vector<Endpoint> ControlServer::listening() const {
  return impl_->listening();
}
void ControlServer::publish() {
  impl_->publish();
}
void ControlServer::stop() {
  impl_->stop();
}

}  // namespace pgtandem
