#include "server-relay/control/metrics.h"

#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "common/control/role-states.h"

namespace pgtandem {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

class Families {
 public:
  /// One family of counters or gauges; its values follow by add().
  Families& family(MetricType type, std::string_view name, std::string_view help) {
    MetricFamily next;
    next.name = "pgtandem_" + std::string(name);
    next.help = help;
    next.type = type;
    all_.push_back(std::move(next));
    return *this;
  }
  Families& add(double value, Labels labels = {}) {
    ClientMetric metric;
    metric.label = std::move(labels);
    if (all_.back().type == MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    all_.back().metric.push_back(std::move(metric));
    return *this;
  }
  void counter(std::string_view name, std::string_view help, std::uint64_t value) {
    family(MetricType::Counter, name, help).add(double(value));
  }
  void gauge(std::string_view name, std::string_view help, std::uint64_t value) {
    family(MetricType::Gauge, name, help).add(double(value));
  }
  void histogram(std::string_view name, std::string_view help, const WaitHistogram& waits) {
    family(MetricType::Histogram, name, help);
    ClientMetric metric;
    metric.histogram.sample_count = waits.count;
    metric.histogram.sample_sum = waits.sum;
    std::uint64_t cumulative = 0;
    for (std::size_t i = 0; i < waits.buckets.size(); ++i) {
      cumulative += waits.buckets[i];
      metric.histogram.bucket.push_back({cumulative, WaitHistogram::kBounds[i]});
    }
    all_.back().metric.push_back(std::move(metric));
  }
  std::string text() const {
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, all_);
    return out.str();
  }

 private:
  std::vector<MetricFamily> all_;
};

void add_role(Families& out, const RelayCounters& c) {
  out.family(MetricType::Gauge, "build_info", "Always 1; the labels name the version and the node.")
      .add(1, {{"node", c.node}, {"version", PGTANDEM_VERSION}});
  out.gauge("uptime_seconds", "Seconds since the relay started.", c.uptime_seconds);
  out.gauge("epoch", "The epoch that the relay knows; rises at every change of master.", c.epoch);
  out.family(MetricType::Gauge, "state", "1 for the state that the node is in, 0 for the others.");
  for (const std::string_view state : kRoleStates) {
    out.add(state == c.state ? 1 : 0, {{"state", std::string(state)}});
  }
  out.gauge("standby_joined", "1 while the standby has executed every unit and may take over.",
            c.standby_joined);
  out.gauge("guests", "1 while sessions of this relay go on with the other node's server.", c.guests);
  if (!c.witness) return;
  out.gauge("witness_answers", "1 while the witness answers and is trusted.", c.witness_answers);
  out.family(MetricType::Gauge, "right_seconds",
             "For how many seconds this node may still release output as master.")
      .add(c.right_seconds);
}

void add_sessions(Families& out, const RelayCounters& c) {
  out.gauge("sessions_open", "Sessions that are open now.", c.sessions_open);
  out.counter("sessions_total", "Sessions opened since the relay started.", c.sessions_total);
  out.counter("sessions_refused_total", "Connections refused since the relay started.", c.sessions_refused);
  out.family(MetricType::Counter, "session_ends_total", "Sessions that ended, by reason.");
  for (const auto& [reason, count] : c.session_ends) out.add(double(count), {{"reason", reason}});
}

void add_traffic(Families& out, const RelayCounters& c) {
  out.counter("units_total", "Request cycles, from the first frontend message to its ReadyForQuery.",
              c.units);
  out.counter("writes_total", "Units that may have written.", c.writes);
  out.family(MetricType::Counter, "received_bytes_total", "Bytes received, by sender.")
      .add(double(c.frontend_bytes), {{"from", "frontend"}})
      .add(double(c.backend_bytes), {{"from", "master"}})
      .add(double(c.standby_bytes), {{"from", "standby"}});
}

void add_comparison(Families& out, const RelayCounters& c) {
  out.family(MetricType::Counter, "differences_total",
             "Units whose replies differed between the servers, by kind.")
      .add(double(c.differences_writes), {{"kind", "write"}})
      .add(double(c.differences_reads), {{"kind", "read"}});
  out.counter("difference_entries_lost_total", "Differences that the divergence log could not keep.",
              c.difference_entries_lost);
  out.gauge("held_outputs", "Sessions whose output waits for the standby now.", c.held_outputs);
  out.gauge("standby_lag_units", "Units that the master has finished and the standby has not.",
            c.standby_lag_units);
  out.histogram("unit_standby_wait_seconds", "How long the end of a unit waited for the standby's match.",
                c.standby_wait);
}

}  // namespace

std::string metrics_text(const RelayCounters& counters) {
  Families out;
  add_role(out, counters);
  add_sessions(out, counters);
  add_traffic(out, counters);
  add_comparison(out, counters);
  out.counter("log_lines_dropped_total", "Log lines that were left out because too many came at once.",
              counters.log_lines_dropped);
  return out.text();
}

}  // namespace pgtandem
