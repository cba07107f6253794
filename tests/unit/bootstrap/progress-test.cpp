#include "server-relay/bootstrap/progress.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace pgtandem::bootstrap;
using namespace std::chrono_literals;

namespace {
const SteadyTime kStart{};
constexpr std::uint64_t kMiB = 1U << 20;
}  // namespace

TEST_CASE("bytes and durations are written for people") {
  CHECK(format_bytes(0) == "0 B");
  CHECK(format_bytes(1023) == "1023 B");
  CHECK(format_bytes(1536) == "1.5 KiB");
  CHECK(format_bytes(3 * kMiB * 1024) == "3.0 GiB");
  CHECK(format_bytes(~std::uint64_t(0)) == "16384.0 PiB");
  CHECK(format_duration(12s) == "12 s");
  CHECK(format_duration(200s) == "3 min 20 s");
  CHECK(format_duration(7500s) == "2 h 5 min");
}

TEST_CASE("rate and arrival follow the last seconds, not the whole copy") {
  ProgressMeter meter(100 * kMiB);
  for (int second = 0; second <= 20; ++second) meter.add(kMiB, kMiB / 4, kStart + second * 1s);
  for (int second = 21; second <= 40; ++second) meter.add(2 * kMiB, kMiB / 2, kStart + second * 1s);
  const ProgressView view = meter.view(kStart + 40s);
  CHECK(view.bytes == 61 * kMiB);
  CHECK(view.total_bytes == 100 * kMiB);
  CHECK(view.rate / kMiB == 2);
  REQUIRE(view.left);
  CHECK(view.left->count() >= 17);
  CHECK(view.left->count() <= 20);
}

TEST_CASE("a copy that stands still shows a falling rate") {
  ProgressMeter meter(100 * kMiB);
  for (int second = 0; second <= 5; ++second) meter.add(kMiB, kMiB, kStart + second * 1s);
  CHECK(meter.view(kStart + 60s).rate < meter.view(kStart + 5s).rate / 5);
}

TEST_CASE("the estimate learns from finished databases, and never falls below what was copied") {
  ProgressMeter meter(100);
  meter.add(80, 0, kStart);
  meter.database_done(40);
  CHECK(meter.view(kStart + 1s).total_bytes == 200);
  meter.add(500, 0, kStart + 2s);
  CHECK(meter.view(kStart + 3s).total_bytes == 580);
  CHECK_FALSE(meter.view(kStart + 3s).left);
  meter.all_sent();
  CHECK(meter.view(kStart + 4s).total_bytes == 580);
}

TEST_CASE("nothing is divided by nothing at the start") {
  const ProgressView view = ProgressMeter(0).view(kStart);
  CHECK(view.rate == 0);
  CHECK_FALSE(view.left);
  CHECK_FALSE(render_line(view, "", 80).empty());
}

TEST_CASE(
    "the line has bytes, rate and arrival, fits the terminal, and shows no control characters of names") {
  ProgressView view;
  view.phase = "copy";
  view.database = "o\x1b[2Jdd";
  view.bytes = 512 * kMiB;
  view.total_bytes = 1024 * kMiB;
  view.wire_bytes = 100 * kMiB;
  view.rate = 64 * kMiB;
  view.left = 8s;
  const std::string line = render_line(view, "14:32:10", 200);
  CHECK(line ==
        "copy o?[2Jdd  512.0 MiB of about 1.0 GiB (50 %)  64.0 MiB/s  sent 100.0 MiB  ready at 14:32:10, in "
        "8 s");
  for (std::size_t width = 0; width < 120; ++width)
    CHECK(render_line(view, "14:32:10", width).size() <= width);
}

TEST_CASE("an event is one line of JSON whatever the name") {
  ProgressView view;
  view.phase = "copy";
  view.database = "a\nb\"\xff";
  const std::string json = render_json(view);
  CHECK(json.find('\n') == std::string::npos);
  const nlohmann::json parsed = nlohmann::json::parse(json);
  CHECK(parsed["event"] == "progress");
  CHECK(parsed["seconds_left"].is_null());
}
