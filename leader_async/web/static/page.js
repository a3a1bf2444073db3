// The live page. It listens to one stream of events, each the whole of its part, keeps the latest of each, and draws
// them. What it shows is never newer than what it was told; once a second it says how old that is.
"use strict";

const BEAT = 5; // seconds: the longest that a stream is silent
const DEAF = 2.5 * BEAT; // seconds of silence after which a stream is as good as lost
const RETRY = [0.25, 4]; // seconds between two tries, at first and at most
const UPGRADE = 10; // seconds until the leader's own stream is tried again
const LOW = 0.35; // of the lease: below this it has missed renewals

const $ = (id) => document.getElementById(id);
const told = {}; // the data of the latest event of each name
const lease = { until: 0, whole: 0, at: 0, known: false }; // by this page's monotonic clock
let quietSince = 0; // when the stream that is shown was opened, or was heard last
let heard = null; // when anything was heard last, by the same clock
let skew = 0; // seconds that the replica's wall clock is ahead of this one
let lostSince = performance.now() / 1000; // since when nobody has been heard, null while somebody is
let token = null; // of the replicas; here and nowhere else
let opened = null; // a term whose explanation is shown

const now = () => performance.now() / 1000;
const wall = () => Date.now() / 1000 + skew;

// -- listening --------------------------------------------------------------------------------------------------------

let stream = null; // the one that is shown
let trial = null; // the leader's own, before it has said anything
let triedAt = -Infinity;
let triedTerm = null;
let pause = RETRY[0];

function listen(path, taken, lost) {
  const source = new EventSource(path);
  for (const name of ["status", "lease", "queue", "terms", "jobs", "beat"]) {
    source.addEventListener(name, (event) => taken(source, name, JSON.parse(event.data)));
  }
  source.onerror = () => { source.close(); lost(source); };
  return source;
}

function connect() {
  quietSince = now();
  stream = listen("events", take, drop);
}

function drop(source) {
  if (source !== stream) return;
  stream = null;
  lostSince ??= now();
  setTimeout(connect, pause * (500 + 500 * Math.random()));
  pause = Math.min(2 * pause, RETRY[1]);
  draw();
}

function take(source, name, data) {
  if (source !== stream) return;
  pause = RETRY[0];
  heard = quietSince = now();
  lostSince = null;
  skew = data.at - Date.now() / 1000;
  told[name] = data;
  if (name === "lease") renew(data.lease_left, data.lease);
  if (name === "status") {
    const known = data.status;
    if (known.is_leader) renew(known.lease_left, known.lease);
    else lease.known = false;
  }
  if (name !== "beat" && name !== "lease") draw();
  upgrade();
}

// Only the leader knows its lease, so the page listens to the leader itself where /leader/… leads there.
function upgrade() {
  const leader = told.queue?.connected ? told.queue.leader : null;
  if (!leader || trial || told.status?.status.is_leader) return;
  if (leader.token === triedTerm && now() - triedAt < UPGRADE) return;
  triedAt = now();
  triedTerm = leader.token;
  trial = listen("leader/events", (source, name, data) => {
    if (source !== trial) return take(source, name, data);
    const before = stream;
    trial = null;
    stream = source;
    if (before) before.close();
    take(source, name, data);
  }, (source) => {
    if (source === trial) trial = null;
    else drop(source);
  });
}

function renew(left, whole) {
  Object.assign(lease, { until: now() + left, whole, at: now(), known: true });
  drawLease(true);
}

// -- what is said -----------------------------------------------------------------------------------------------------

function span(seconds) {
  const s = Math.max(0, seconds);
  if (s < 1) return `${Math.round(s * 1000)} ms`;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 90) return `${Math.round(s)} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 129600) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} days`;
}

const whole = (seconds) => (seconds < 90 ? `${Math.max(0, Math.floor(seconds))} s` : span(seconds));
const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour12: false });

function time(seconds) {
  if (!seconds) return "?";
  const at = new Date(seconds * 1000);
  const today = at.toDateString() === new Date().toDateString();
  return today ? clock(seconds) : `${at.toLocaleDateString([], { day: "numeric", month: "short" })}, ${clock(seconds)}`;
}

// With the time zone's name: a job has a zone of its own, which need not be this reader's.
function zoned(seconds) {
  if (!seconds) return "?";
  const parts = new Intl.DateTimeFormat([], { timeZoneName: "short" }).formatToParts(new Date(seconds * 1000));
  return `${time(seconds)} ${parts.find((part) => part.type === "timeZoneName").value}`;
}

// A sentence of the replica's, its times in this reader's time zone.
const local = (text) => text.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, (at) => time(Date.parse(at) / 1000));

function make(kind, name, ...inside) {
  const made = document.createElement(kind);
  if (name) made.className = name;
  made.append(...inside);
  return made;
}

function put(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

function who(identity, address) {
  if (!/^https?:\/\//.test(address || "")) return identity;
  const link = make("a", "", identity);
  link.href = address;
  link.rel = "noreferrer";
  return link;
}

// -- drawing ----------------------------------------------------------------------------------------------------------

function draw() {
  drawLeader();
  drawQueue();
  drawTerms();
  drawJobs();
  drawAge();
}

// Whether what was told last can still be so.
const sure = () => stream !== null && heard !== null && told.queue?.connected && !told.queue.problem;

function drawLeader() {
  const status = told.status?.status;
  if (!status) return;
  put("election", status.election);
  const leader = told.queue ? told.queue.leader : null;
  const name = leader ? leader.identity : "nobody";
  const certain = sure();
  $("lead").dataset.sure = certain && leader ? "yes" : "no";
  put("lead-label", certain ? (leader ? "Leader" : "No leader") : "Leader when last seen");
  put("leader", told.queue ? name : "…");
  document.title = told.queue ? `${certain ? "" : "? "}${leader ? `${name} leads` : "nobody leads"} ${status.election}` : status.election;
  // Tokens are strings of digits: a number here would be exact below 2^53 only.
  const term = (told.terms?.terms || []).find((one) => leader && one.token === leader.token);
  put("facts", leader ? [`term ${leader.term}`, term ? `since ${time(term.began)}` : "", `token ${leader.token}`].filter(Boolean).join(" · ") : "");
  leading = !told.queue ? "" : leader ? `${name} leads, term ${leader.term}` : "nobody leads";
  const ended = (told.terms?.terms || []).filter((one) => one.explained);
  put("why", ended.length ? local(ended[ended.length - 1].explained) : "");
  $("resign").hidden = !(told.status.resignable && leader);
  $("resign").disabled = !certain;
  $("lease").hidden = !(lease.known && leader);
  $("lease-unknown").hidden = !(leader && !lease.known && certain);
  put("lease-unknown", leader ? `Only ${name} knows how long its lease lasts; this is what ${status.identity} knows.` : "");
}

// For who listens to the page: each change once, and no seconds.
let leading = "";
function announce(trouble) {
  const text = trouble || (sure() ? leading : "");
  if (text) put("said", text);
}

// Who stands right behind the leader is handed the lead; a leader who was given it out of turn may be the last one.
function heir(queue) {
  const waiting = queue.slice(queue.findIndex((one) => one.is_leader) + 1).concat(queue);
  return waiting.find((one) => !one.is_leader && !one.ghost);
}

// What is said of a place in the queue: as it is, and as it was when the queue was last seen.
const PLACES = { leader: ["leads", "led"], heir: ["next", "was next"], other: ["waits", "waited"] };

function drawQueue() {
  const queue = told.queue?.queue;
  const mine = told.status?.status;
  if (!queue) return;
  const certain = sure();
  const absent = told.queue.missing || []; // a replica of an older version does not tell
  $("queue").replaceChildren(...queue.map((one, index) => {
    const own = mine && one.identity === mine.identity && one.address === mine.address;
    let state = PLACES[one.is_leader ? "leader" : one === heir(queue) ? "heir" : "other"][certain ? 0 : 1];
    if (own && certain && one.is_leader !== mine.is_leader) state = mine.state;
    if (own && certain && !one.is_leader && !["queued", "idle"].includes(mine.state)) state = mine.state;
    if (one.ghost) state = "ghost";
    const since = one.started_at ? `up for ${span(wall() - one.started_at)}` : "";
    const row = make("li", "", make("span", "place", `${index + 1}`), make("span", "who", who(one.identity, one.address)),
      make("span", "state", state),
      make("span", "note", [since, own && stream ? "this page listens to it" : ""].filter(Boolean).join(" · ")));
    if (one.ghost) row.append(make("span", "note failed", `belongs to no process, and blocks who stands behind it: leader-async evict ${one.znode}`));
    if (one.is_leader) row.dataset.leads = "";
    row.dataset.sure = certain ? "yes" : "no";
    return row;
  }), ...absent.map((one) => {
    const row = make("li", "", make("span", "place", "–"), make("span", "who", who(one.identity, one.address)),
      make("span", "state", "missing"),
      make("span", "note", `since ${time(one.since)}, for ${span(wall() - one.since)}`));
    row.dataset.missing = "";
    return row;
  }));
  const count = [`${queue.length}`, absent.length ? `${absent.length} missing` : ""].filter(Boolean).join(", ");
  put("queue-count", queue.length || absent.length ? `· ${count}` : "");
  $("queue-empty").hidden = queue.length > 0;
  put("queue-empty", told.queue.problem || (told.queue.connected ? "Nobody stands in the queue." : "Not known yet."));
}

const BAD = ["process died", "lease ran out", "session expired", "session expired or machine lost", "place lost", "work failed"];

function drawTerms() {
  const terms = told.terms?.terms;
  if (!terms) return;
  const leader = told.queue?.leader;
  const certain = sure();
  const active = document.activeElement?.closest?.("#terms > li")?.dataset.term;
  $("terms").replaceChildren(...[...terms].reverse().map((one) => {
    const runs = one.ended === null && leader && leader.token === one.token && certain;
    const lasted = one.began && (one.ended || runs) ? span((one.ended || wall()) - one.began) : "";
    const when = `${time(one.began)} – ${one.ended ? time(one.ended) : runs ? "now" : "?"}`;
    const gap = one.leaderless_ms === null ? "" : `; nobody led for ${one.at_least ? "at least " : ""}${span(one.leaderless_ms / 1000)}`;
    const head = [
      make("span", "who", one.identity || "unknown", make("span", "number", `term ${one.term}`)),
      make("span", "when", lasted ? `${when} · ${lasted}` : when),
    ];
    const row = make("li", "");
    row.dataset.term = one.term;
    if (runs) row.dataset.runs = "";
    if (BAD.includes(one.why)) row.dataset.bad = "";
    if (!one.explained) {
      row.append(make("div", "row", ...head));
      return row;
    }
    const summary = make("summary", "row", ...head, make("span", "reason", make("span", "word", one.why || "ended"), gap));
    const details = make("details", "", summary, make("p", "explained", local(one.explained)));
    details.open = opened === one.token;
    details.addEventListener("toggle", () => {
      if (details.open) opened = one.token;
      else if (opened === one.token) opened = null;
    });
    row.append(details);
    return row;
  }));
  if (active) $("terms").querySelector(`li[data-term="${active}"] summary`)?.focus();
  $("terms-empty").hidden = terms.length > 0;
}

function drawJobs() {
  const jobs = told.jobs?.jobs || [];
  $("jobs-section").hidden = jobs.length === 0;
  $("jobs").replaceChildren(...jobs.map((job) => {
    const last = job.past[job.past.length - 1];
    const next = job.problem || (job.next_slot === null ? "no further slot"
      : job.next_slot > wall() ? `next ${zoned(job.next_slot)}` : `due since ${zoned(job.next_slot)}`);
    const row = make("li", "", make("span", "name", job.name), make("span", "next", next), make("span", "note", job.trigger));
    if (job.current) row.append(make("span", "note", `${job.current.outcome} since ${zoned(job.current.began)}, ${job.current.identity}`));
    if (last) {
      const text = `${last.outcome} ${zoned(last.ended)}, ${last.identity}, took ${span(last.ended - last.began)}`;
      const bad = last.outcome !== "done";
      row.append(make("span", bad ? "note failed" : "note", bad && last.error ? `${text}: ${last.error}` : text));
    }
    return row;
  }));
}

const still = matchMedia("(prefers-reduced-motion: reduce)");
let running = null;

function drawLease(renewed) {
  const left = Math.max(0, lease.until - now());
  const part = lease.whole ? Math.min(1, left / lease.whole) : 0;
  $("lease").dataset.low = part < LOW ? "yes" : "no";
  put("lease-text", left > 0 ? `lease ${left.toFixed(1)} s of ${lease.whole} s` : "the lease has run out");
  put("renewed", `renewed ${whole(now() - lease.at)} ago`);
  if (still.matches) {
    running?.cancel();
    running = null;
    $("bar").style.transform = `scaleX(${Math.round(part * 10) / 10})`;
  } else if (renewed) {
    running?.cancel();
    running = $("bar").animate([{ transform: `scaleX(${part})` }, { transform: "scaleX(0)" }],
      { duration: left * 1000, fill: "forwards" });
  }
}

function drawAge() {
  const status = told.status?.status;
  const away = status && !status.session.connected;
  // What a replica without ZooKeeper tells of the queue is as old as its connection's end.
  const age = heard === null ? null : Math.max(now() - heard, away ? wall() - status.session.since : 0);
  let notice = "";
  let link = "live";
  if (lostSince !== null) {
    const lost = now() - lostSince;
    const since = whole(lost);
    notice = heard === null
      ? `No replica has answered for ${since}. Trying again.`
      : `No connection to any replica for ${since}. What is shown is ${whole(age)} old, and may not be so any more.`;
    if (lost < 1.5) notice = ""; // on its way to another replica
    link = notice ? "lost" : "waiting";
  } else if (away) {
    notice = `${status.identity} has had no connection to ZooKeeper for ${whole(wall() - status.session.since)}`
      + `${status.session.last_error ? ` (${status.session.last_error})` : ""}. `
      + (status.is_leader ? "It leads until its lease ends." : "Who leads is not known; what is shown is what was known before.");
    link = "lost";
  } else if (told.queue?.problem) {
    notice = `${told.queue.problem}.`;
    link = "lost";
  }
  const words = { live: "live", waiting: "connecting", lost: away && lostSince === null ? "ZooKeeper is away" : "no connection" };
  announce({ live: "", waiting: "", lost: words.lost }[link]);
  $("notice").hidden = !notice;
  put("notice", notice);
  $("link").dataset.state = link;
  put("link-text", age === null ? words[link] : `${words[link]} · ${whole(age)} old`);
  put("source", status ? `${status.identity} · ${status.session.server ? `ZooKeeper ${[].concat(status.session.server).join(":")}` : "no ZooKeeper"} · leader_async ${status.version}` : "–");
}

setInterval(() => {
  // A replica that is frozen, or a network that swallows everything, ends no connection.
  if (stream && now() - quietSince > (lostSince === null ? DEAF : BEAT)) {
    lostSince ??= heard;
    const silent = stream;
    silent.close();
    drop(silent);
  }
  if (lease.known) drawLease(false);
  drawAge();
}, 200);
setInterval(() => { drawQueue(); drawJobs(); if (!$("terms").contains(document.activeElement)) drawTerms(); drawLeader(); }, 5000);

// -- handing over -----------------------------------------------------------------------------------------------------

function ask() {
  const queue = told.queue.queue;
  const next = heir(queue);
  put("dialog-text", `${told.queue.leader.identity} stops its work, then gives the lead up. `
    + (next ? `${next.identity} is next.` : "There is nobody else: it will lead again."));
  $("token-part").hidden = token !== null;
  $("dialog-problem").hidden = true;
  $("dialog").showModal();
  $(token === null ? "token" : "confirm").focus();
}

function refuse(text) {
  put("dialog-problem", text);
  $("dialog-problem").hidden = false;
}

async function resign() {
  const given = token ?? $("token").value.trim();
  if (!given || /[^\x20-\x7e]/.test(given)) {
    refuse("Give the token that the replicas were started with.");
    $("token").focus();
    return;
  }
  $("confirm").disabled = true;
  try {
    const answer = await fetch("leader/resign", { method: "POST", headers: { Authorization: `Bearer ${given}` }, cache: "no-store" });
    const body = await answer.json().catch(() => ({}));
    if (answer.ok) {
      token = given;
      $("token").value = "";
      $("dialog").close();
    } else if (answer.status === 401) {
      token = null;
      $("token-part").hidden = false;
      refuse("The token is not the replicas'.");
      $("token").select();
    } else if (answer.status === 503 && body.identity) {
      refuse(`${body.identity} does not lead, and nothing here passes the request on. ${body.leader_address ? `Open ${body.leader_address}` : "Open the leader's page"}.`);
    } else {
      refuse(body.error ? `${body.error}.` : `The answer was ${answer.status}.`);
    }
  } catch {
    refuse("No replica answers.");
  } finally {
    $("confirm").disabled = false;
  }
}

$("resign").addEventListener("click", ask);
$("confirm").addEventListener("click", resign);
$("cancel").addEventListener("click", () => $("dialog").close());
$("token").addEventListener("keydown", (event) => { if (event.key === "Enter") resign(); });
$("dialog").addEventListener("close", () => { $("token").value = ""; $("resign").focus(); });
connect();
