#include "server-relay/control/status-page.h"

namespace pgtandem {
namespace {

// Everything is said by a word and a shape; colour only repeats it. Sizes are in vmin/vw so that the state
// word fills a control-room screen. All values are set as textContent: nothing from a server becomes markup.
constexpr std::string_view kPage = R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>pgtandem</title>
<style>
:root { color-scheme: dark; --good: #58b9ff; --warn: #ffc233; --bad: #ff8a5c; --line: #4a5560; }
* { box-sizing: border-box; }
body { margin: 0; padding: 2vmin 3vmin; background: #10151a; color: #f4f6f8;
       font: max(16px, 2.2vmin)/1.35 system-ui, "DejaVu Sans", Arial, sans-serif; }
header { display: flex; align-items: center; gap: 3vmin; border-bottom: 3px solid var(--line); padding-bottom: 2vmin; }
#shape { width: 14vmin; height: 14vmin; flex: none; }
#state { font-size: max(40px, 11vmin); font-weight: 800; line-height: 1; letter-spacing: .02em; overflow-wrap: anywhere; }
#meaning { font-size: max(18px, 3.4vmin); }
.good { --tone: var(--good); } .warn { --tone: var(--warn); } .bad { --tone: var(--bad); }
#state, #shape { color: var(--tone, #f4f6f8); }
#tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(24vmin, 1fr)); gap: 2vmin; margin: 2.5vmin 0; }
.tile { border: 2px solid var(--line); border-radius: 1vmin; padding: 1.2vmin 1.8vmin; }
.tile b { display: block; font-size: max(24px, 5vmin); line-height: 1.15; overflow-wrap: anywhere; }
.tile span { color: #c3ccd4; }
#hint { display: none; border: 3px solid var(--warn); border-radius: 1vmin; padding: 1.2vmin 1.8vmin; margin-bottom: 2vmin;
        font-size: max(18px, 3vmin); }
#hint code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .5vmin 1.5vmin .5vmin 0; border-bottom: 1px solid var(--line); }
td:first-child, td:nth-child(2) { white-space: nowrap; }
h2 { font-size: max(18px, 3vmin); margin: 2vmin 0 .5vmin; }
footer { margin-top: 2vmin; color: #c3ccd4; }
</style>
</head>
<body>
<header>
<svg id="shape" viewBox="0 0 100 100" role="img" aria-labelledby="state"><path id="path" fill="currentColor"></path></svg>
<div><div id="state" aria-live="polite">...</div><div id="meaning">connecting to the relay</div></div>
</header>
<main>
<div id="tiles"></div>
<div id="hint">Next: <code></code></div>
<h2>Last events</h2>
<table><thead><tr><th>time</th><th>event</th><th>what</th></tr></thead><tbody id="events"></tbody></table>
</main>
<footer id="foot"></footer>
<noscript>This page needs JavaScript. The same as JSON: /v1/status</noscript>
<script>
"use strict";
// A shape for each judgement: disc, triangle, cross, and a ring for "cannot tell".
const shapes = {
  good: "M50 4a46 46 0 1 0 .01 0z",
  warn: "M50 4 98 92H2zM45 36h10l-2 30h-6zM44 72h12v12H44z",
  bad: "M18 4 50 36 82 4l14 14-32 32 32 32-14 14-32-32-32 32L4 82l32-32L4 18z",
  none: "M50 4a46 46 0 1 0 .01 0zM50 18a32 32 0 1 1-.01 0z" };
const get = id => document.getElementById(id);
const number = n => Number(n || 0).toLocaleString("en");
function span(s) {
  s = Math.floor(Number(s) || 0);
  if (s < 60) return s + " s";
  if (s < 3600) return Math.floor(s / 60) + " min " + s % 60 + " s";
  if (s < 86400) return Math.floor(s / 3600) + " h " + Math.floor(s % 3600 / 60) + " min";
  return Math.floor(s / 86400) + " d " + Math.floor(s % 86400 / 3600) + " h";
}
function judge(s) {
  const state = s.role.state, joined = s.standby.joined;
  const texts = {
    MASTER: joined ? ["good", "serving, the standby is joined"] : ["warn", "serving, the standby is not joined"],
    STANDBY: ["good", "joined, ready to take over"],
    ALONE: ["warn", "serving without a standby"],
    DEGRADING: ["warn", "holding outputs: the standby is being left behind"],
    DRAINING: ["warn", "handing over to the other node"],
    CANDIDATE: ["warn", "taking over"],
    BOOTSTRAP: ["warn", "being loaded from the master"],
    RECOVER: ["warn", "started, has no authority yet"],
    STALE: ["bad", "has missed writes: needs a bootstrap"],
    FENCED: ["bad", "fenced: serves nobody"],
    SPLIT: ["bad", "both nodes went on alone: decide which copy to keep"] };
  return texts[state] || ["none", ""];
}
function show(tone, word, meaning) {
  document.body.className = tone === "none" ? "" : tone;
  get("path").setAttribute("d", shapes[tone]);
  get("path").setAttribute("fill-rule", "evenodd");
  get("state").textContent = word;
  get("meaning").textContent = meaning;
}
function tile(label, value) {
  const box = document.createElement("div"), big = document.createElement("b"), small = document.createElement("span");
  box.className = "tile"; big.textContent = value; small.textContent = label;
  box.append(big, small);
  return box;
}
let before = null;
function draw(s) {
  const [tone, meaning] = judge(s), now = performance.now();
  show(tone, s.role.state, "node " + s.node + ": " + meaning);
  document.title = s.role.state + " " + s.node + " - pgtandem";
  let rate = "-";
  if (before && now > before.at + 500) {
    rate = number(Math.max(0, Math.round((s.traffic.units - before.units) * 1000 / (now - before.at))));
    before = { at: now, units: s.traffic.units, rate: rate };
  } else if (before) rate = before.rate;
  else before = { at: now, units: s.traffic.units, rate: "-" };
  const tiles = [
    tile("epoch", number(s.role.epoch)),
    tile("standby", s.standby.joined ? "joined \u2713" : "not joined \u2717"),
    tile("sessions open", number(s.sessions.open)),
    tile("units a second", rate),
    tile("standby behind by", number(s.standby.lag_units) + " units"),
    tile("differences: writes / reads", number(s.differences.writes) + " / " + number(s.differences.reads)),
    tile("own postmaster", s.postmaster.ok ? "answers \u2713" : "lost \u2717"),
    tile("in this state since", span(s.role.since_s)) ];
  if (s.peer) tiles.push(tile("other relay", s.peer.reachable ? s.peer.state + " \u2713" : "silent " + span(s.peer.silent_ms / 1000) + " \u2717"));
  if (s.witness) {
    const w = s.witness;
    tiles.push(tile("witness", w.flaw ? "not trusted \u2717" : w.answers ? "answers \u2713" : "silent \u2717"));
    if (s.right_ms !== null) tiles.push(tile("right to be master", number(s.right_ms) + " ms"));
  }
  if (s.guests) tiles.push(tile("guests", "sessions on the other server"));
  if (s.bootstrap) {
    const b = s.bootstrap, part = b.total_bytes ? Math.floor(100 * b.bytes / b.total_bytes) + " %" : "";
    tiles.push(tile("bootstrap", ((b.phase || "") + " " + part).trim()));
  }
  get("tiles").replaceChildren(...tiles);
  get("hint").style.display = s.hint ? "block" : "none";
  get("hint").querySelector("code").textContent = s.hint || "";
  get("events").replaceChildren(...(s.events || []).slice(-12).reverse().map(e => {
    const row = document.createElement("tr");
    for (const text of [e.time, (e.level === "info" ? "" : e.level + ": ") + e.event, e.text]) {
      const cell = document.createElement("td"); cell.textContent = text || ""; row.append(cell);
    }
    return row;
  }));
  const w = s.witness ? s.witness.flaw || s.witness.trouble : "";
  const why = [s.role.reason, s.standby.joined ? "" : s.standby.stale_reason, w].filter(Boolean).join("; ");
  get("foot").textContent = (why ? why + " \u00b7 " : "") + "pgtandem " + s.version + ", " + s.protocol + "/" + s.discipline +
    ", up " + span(s.uptime_s);
}
let heard = 0;
const source = new EventSource("/v1/watch");
source.onmessage = e => { heard = performance.now(); try { draw(JSON.parse(e.data)); } catch (error) { show("none", "?", String(error)); } };
setInterval(() => {
  if (performance.now() - heard > 4000) show("bad", "NO ANSWER", "this relay has not answered for " + span((performance.now() - heard) / 1000) + "; what stands below is old");
}, 1000);
</script>
</body>
</html>
)html";

}  // namespace

std::string_view status_page() {
  return kPage;
}

std::string_view status_page_policy() {
  return "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
         "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
}

}  // namespace pgtandem
