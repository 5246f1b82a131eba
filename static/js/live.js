// One WebSocket per page as a doorbell: a frame leads to one GET of the page's live fragments.
// Frames carry seq, so a reconnect asks for what was missed and nothing is shown twice.

import { append, end, finished } from "./stream.js";

const together = 120;
const apart = 300; // at most about three answers a second, however much happens
const first = 500;
const longest = 20000;
const silent = 35000;

const state = { seq: 0, tries: 0, socket: null, timer: 0, busy: false, again: false, last: 0, over: false, fetched: 0 };
const settled = new Set();

export function startLive() {
  const { socket, live, seq } = document.body.dataset;
  if (!socket || !live) return;
  state.seq = Number(seq || 0);
  connect();
  setInterval(watch, 1000);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && !open()) connect();
  });
  addEventListener("pagehide", () => state.socket?.close());
  addEventListener("pageshow", (event) => event.persisted && connect());
  document.addEventListener("countersign:due", ring);
  document.addEventListener("htmx:after:swap", end);
  counted();
}

const open = () => state.socket && state.socket.readyState <= WebSocket.OPEN;

function connect() {
  if (open() || state.over) return;
  const url = new URL(document.body.dataset.socket, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  if (state.seq) url.searchParams.set("after", state.seq);
  const socket = new WebSocket(url);
  state.socket = socket;
  socket.onopen = () => {
    if (state.tries) ring();
    state.tries = 0;
    state.last = Date.now();
    show("live", "Live");
  };
  socket.onmessage = (event) => heard(JSON.parse(event.data));
  socket.onclose = (event) => closed(event, socket);
}

function closed(event, socket) {
  if (socket !== state.socket || state.over) return;
  if (event.code === 4401 || event.code === 4403 || event.code === 4404) {
    show("offline", event.code === 4401 ? "Signed out" : "No access");
    return;
  }
  const wait = Math.min(longest, first * 2 ** state.tries) * (0.7 + 0.6 * Math.random());
  state.tries += 1;
  show(state.tries > 4 ? "offline" : "reconnecting", state.tries > 4 ? "Offline" : "Reconnecting");
  setTimeout(connect, wait);
}

function heard(frame) {
  state.last = Date.now();
  if (frame.kind === "delta") {
    append(frame);
    return;
  }
  if (frame.kind === "ping") return;
  if (frame.kind === "end") {
    state.over = true;
    state.socket.close();
    show("live", "Up to date");
    ring();
    return;
  }
  if (frame.seq && document.body.dataset.seq) state.seq = Math.max(state.seq, frame.seq);
  if (frame.kind === "message") settled.add(frame.step);
  state.event = Date.now();
  ring();
}

function ring() {
  if (state.timer) return;
  state.timer = setTimeout(fetchFragments, Math.max(together, apart - (Date.now() - state.fetched)));
}

async function fetchFragments() {
  state.timer = 0;
  if (state.busy) {
    state.again = true;
    return;
  }
  state.busy = true;
  state.fetched = Date.now();
  const done = [...settled];
  settled.clear();
  try {
    const url = new URL(document.body.dataset.live, location.href);
    const here = document.querySelector("#nav [aria-current]")?.getAttribute("href")?.split("/")[1];
    if (here) url.searchParams.set("here", here);
    await htmx.ajax("GET", url.pathname + url.search, { target: "body", swap: "none" });
    done.forEach(finished);
    end();
    said();
    counted();
  } finally {
    state.busy = false;
    if (state.again) {
      state.again = false;
      ring();
    }
  }
}

function watch() {
  if (open() && state.tries === 0 && state.last && Date.now() - state.last > silent) state.socket.close();
  const node = document.querySelector("[data-last-event]");
  if (node && state.event) {
    const seconds = (Date.now() - state.event) / 1000;
    node.textContent = seconds < 60 && !state.over ? `last event ${seconds.toFixed(seconds < 10 ? 1 : 0)} s ago` : "";
  }
}

function show(name, word) {
  for (const node of document.querySelectorAll("[data-connection]")) {
    node.dataset.connection = name;
    node.querySelector("[data-connection-word]").textContent = word;
  }
  const bar = document.querySelector("[data-offline]");
  if (!bar) return;
  bar.hidden = name !== "offline";
  // A decision on a page that may be old would be refused anyway; what was typed stays.
  for (const button of document.querySelectorAll("[data-decide]")) button.disabled = name === "offline";
  const since = new Date(state.last || Date.now()).toTimeString().slice(0, 8);
  if (name === "offline") bar.textContent = `${word}. This page shows the state of ${since}; reload it before you decide.`;
}

// One sentence per ten seconds for screen readers; the last one is never lost.
let spoken = 0;
let speaking = 0;
function said() {
  const wait = 10000 - (Date.now() - spoken);
  if (wait > 0) {
    speaking ||= setTimeout(() => {
      speaking = 0;
      said();
    }, wait);
    return;
  }
  const word = document.querySelector("[data-word]")?.dataset.word;
  const line = document.getElementById("status-line");
  if (!word || !line || line.textContent === word) return;
  spoken = Date.now();
  line.textContent = word;
}

function counted() {
  const count = Number(document.getElementById("nav")?.dataset.inbox || 0);
  const title = document.title.replace(/^\(\d+\+?\) /, "");
  document.title = count ? `(${count > 99 ? "99+" : count}) ${title}` : title;
  drawIcon(count);
}

function drawIcon(count) {
  const link = document.getElementById("favicon");
  if (!link) return;
  link.dataset.plain ??= link.href;
  link.href = count ? link.dataset.plain.replace("favicon.svg", "favicon-waiting.svg") : link.dataset.plain;
}
