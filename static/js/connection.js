// One WebSocket per page. It says what happened; a cursor makes sure that a page which was away,
// asleep or hidden is told exactly what it missed.

import { show } from "./status.js";

const first = 500;
const longest = 20000;
const quiet = 2500; // nothing heard for so long: ask
const silent = 5000; // no answer: say so
const dead = 10000; // still none, nor a handshake: connect anew, and decisions wait
const asleep = 15000; // between two ticks of a second

const state = { seq: 0, ticket: "", tries: 0, socket: null, timer: 0, began: 0, proven: false, heard: 0, down: 0, tick: 0, over: false, refused: false };
let page; // what the page does with a frame, and how it catches up

export const cursor = () => state.seq;
export const isOver = () => state.over;

export function caughtUp(seq) {
  if (document.body.dataset.seq) state.seq = Math.max(state.seq, seq);
}

export function startConnection(handlers) {
  page = handlers;
  state.seq = Number(document.body.dataset.seq || 0);
  state.ticket = document.body.dataset.ticket || "";
  state.tick = Date.now();
  connect();
  setInterval(watch, 1000);
  document.addEventListener("visibilitychange", () => (document.hidden ? pause() : resume()));
  addEventListener("offline", offline);
  addEventListener("online", resume);
  addEventListener("pagehide", () => state.socket?.close());
  addEventListener("pageshow", (event) => event.persisted && resume());
}

const open = () => state.socket && state.socket.readyState <= WebSocket.OPEN;
// Lists tell of news by their title and icon, so only a task's own page rests while it is hidden.
export const resting = () => document.hidden && Boolean(document.body.dataset.seq);

function connect() {
  clearTimeout(state.timer);
  if (open() || state.over || state.refused || resting()) return;
  const url = new URL(document.body.dataset.socket, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  if (state.seq) url.searchParams.set("after", state.seq);
  if (state.ticket) url.searchParams.set("ticket", state.ticket);
  const socket = new WebSocket(url);
  state.socket = socket;
  state.began = Date.now();
  state.proven = false;
  socket.onopen = () => socket === state.socket && ask();
  socket.onmessage = (event) => socket === state.socket && heard(JSON.parse(event.data));
  socket.onclose = (event) => socket === state.socket && closed(event.code);
}

const ask = () => state.socket.send('{"kind": "ping"}');

// An accepted socket may be closed at once, when the database is away: only a frame proves the feed.
function proven() {
  if (state.tries) page.missed();
  state.proven = true;
  state.tries = 0;
}

function heard(frame) {
  if (state.down || !state.proven) show("live", "Live");
  if (!state.proven) proven();
  state.heard = Date.now();
  state.down = 0;
  if (frame.ticket) state.ticket = frame.ticket; // an older one would cost the server a look at the session
  if (frame.kind === "ping") return;
  if (frame.kind === "end") {
    state.over = true;
    state.socket.close();
    show("live", "Up to date");
  }
  if (frame.seq) caughtUp(frame.seq);
  page.heard(frame);
}

function closed(code) {
  if (state.over) return;
  state.socket = null;
  if (code === 4401 || code === 4403 || code === 4404) {
    state.refused = true;
    show("offline", code === 4401 ? "Signed out" : "No access", state.heard);
    return;
  }
  if (resting()) return;
  state.down ||= Date.now();
  const wait = Math.min(longest, first * 2 ** state.tries) * (0.7 + 0.6 * Math.random());
  state.tries += 1;
  lost();
  state.timer = setTimeout(connect, wait);
}

function lost() {
  const gone = !navigator.onLine || Date.now() - state.down > dead;
  show(gone ? "offline" : "reconnecting", gone ? "Offline" : "Reconnecting", state.heard);
}

// The browser's own word of a close may come minutes late: do not wait for it.
function drop() {
  const socket = state.socket;
  if (!socket || state.over) return;
  state.socket = null;
  socket.close();
  closed(1006);
}

function offline() {
  drop();
  if (state.down) lost();
}

function pause() {
  if (!resting() || !state.socket || state.over) return;
  const socket = state.socket;
  state.socket = null;
  state.tries = 1;
  socket.close();
}

// After a sleep the rows come first, so that the socket need not repeat what they already show.
async function resume() {
  clearTimeout(state.timer);
  if (open() || state.over || state.refused || resting()) return;
  state.tries ||= 1;
  await page.catchUp();
  connect();
}

function watch() {
  const now = Date.now();
  const slept = now - state.tick > asleep;
  state.tick = now;
  if (state.over || state.refused || resting()) return;
  if (slept) drop();
  if (!state.socket) {
    if (state.down) lost();
    if (slept) resume();
    return;
  }
  // A handshake may hang for ever, too: a socket has as long to begin as to go on.
  const last = Math.max(state.began, state.heard);
  const since = now - last;
  if (since > dead) drop();
  else if (since > silent) {
    state.down ||= last;
    lost();
  }
  if (since > quiet && state.socket?.readyState === WebSocket.OPEN) ask();
}
