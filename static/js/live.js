// Every frame of the socket is a doorbell: one GET of the page's live fragments answers many.

import { caughtUp, cursor, isOver, resting, startConnection } from "./connection.js";
import { alone } from "./queue.js";
import { missing, swapped } from "./rows.js";
import { speak } from "./status.js";
import { followed, heard as streamed, painted } from "./stream.js";

const together = 15;
const apart = 250; // at most four answers a second, however much happens
const share = 1.5; // of its own time a page leaves to others, when answers are slow
const line = 5000; // between two looks at the place of a task that waits: others move it
const around = 2000; // what is around the page, its menu and counts, may be older

const state = { timer: 0, again: false, began: 0, took: 0, event: 0, around: Date.now(), later: 0 };

export function startLive() {
  const { socket, live } = document.body.dataset;
  if (!socket || !live) return;
  startConnection({ heard, missed: ring, catchUp: () => fetched() });
  setInterval(age, 500);
  setInterval(() => document.getElementById("now-queued") && ring(), line);
  document.addEventListener("countersign:due", ring);
  document.addEventListener("countersign:ask", ring);
  document.addEventListener("countersign:pick", () => fetched());
  counted();
}

function heard(frame) {
  if (streamed(frame)) return;
  state.event = Date.now();
  ring();
}

function ring() {
  if (state.timer) return;
  const rest = Math.max(apart, share * state.took) - (Date.now() - state.began);
  state.timer = setTimeout(fetched, Math.max(together, rest));
}

async function fetched() {
  if (resting()) return; // it catches up when it is looked at
  clearTimeout(state.timer);
  state.timer = 0;
  if (state.again) return;
  state.again = true;
  await alone(fragments);
}

async function fragments() {
  state.again = false;
  state.began = Date.now();
  const settled = painted.begin();
  try {
    await htmx.ajax("GET", address(), { target: "body", swap: "none" });
    caughtUp(Number(document.getElementById("task-head")?.dataset.seq || 0));
  } catch {
    return; // The connection says so, and comes back to this.
  } finally {
    state.took = Date.now() - state.began;
  }
  swapped(cursor());
  painted.end(settled);
  speak();
  counted();
}

function address() {
  const url = new URL(document.body.dataset.live, location.href);
  const here = document.querySelector("#nav [aria-current]")?.getAttribute("href")?.split("/")[1];
  if (here) url.searchParams.set("here", here);
  for (const [name, value] of [["focus", followed()], ["after", missing(url)], ["shell", shell()]]) {
    if (value) url.searchParams.set(name, value);
  }
  return url.pathname + url.search;
}

function shell() {
  const rest = state.around + around - Date.now();
  if (rest > 0) {
    state.later ||= setTimeout(ring, rest);
    return "";
  }
  clearTimeout(state.later);
  state.later = 0;
  state.around = Date.now();
  return "1";
}

function age() {
  const node = document.querySelector("[data-last-event]");
  if (!node || !state.event) return;
  const seconds = (Date.now() - state.event) / 1000;
  node.textContent = seconds < 60 && !isOver() ? `last event ${seconds.toFixed(seconds < 10 ? 1 : 0)} s ago` : "";
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
