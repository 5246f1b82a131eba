// The list of what happened. All events are added as they come, never more rows than a page can
// hold; older ones are loaded when the reader reaches the top.

import { following, grown, heed } from "./follow.js";
import { alone } from "./queue.js";

const most = 500;
const none = "999999999999999"; // a cursor after which there is nothing
const known = new Set(); // the rows that were there before the last answer
let shownTab = "";

const list = () => document.getElementById("events");
const box = () => document.querySelector('[data-follows="events"]');
const numbered = () => [...(list()?.querySelectorAll(":scope > [data-seq]") ?? [])];
const isAll = () => list()?.dataset.tab === "events";

export function startRows() {
  if (!list()) return;
  remember();
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-earlier]")) return;
    event.preventDefault();
    earlier();
  });
  document.addEventListener("scroll", (event) => event.target === box() && box().scrollTop < 40 && earlier(), {
    capture: true,
    passive: true,
  });
}

// The seq after which the list lacks events; nothing when the server should send all of it.
export function missing(url) {
  const here = url.searchParams;
  if (!isAll() || here.get("tab") !== "events" || here.has("before")) return "";
  if (box().dataset.past) return none;
  return numbered().at(-1)?.dataset.seq ?? "";
}

// Call when an answer is in the page; `newest` is the seq of the last event there is.
export function swapped(newest) {
  if (!list()) return;
  const fresh = [...list().children].filter((row) => row.id && !known.has(row.id));
  if (shownTab === list().dataset.tab) for (const row of fresh) row.classList.add("event-new");
  heed("events");
  trim();
  if (box().dataset.past) box().dataset.past = newest - Number(numbered().at(-1).dataset.seq);
  remember();
  grown("events");
}

function remember() {
  known.clear();
  shownTab = list().dataset.tab;
  for (const row of list().children) known.add(row.id);
}

function trim() {
  const rows = numbered();
  if (!isAll() || rows.length <= most) return;
  const height = box().scrollHeight;
  for (const row of rows.slice(0, rows.length - most)) row.remove();
  more(numbered()[0].dataset.seq);
  // What is being read stays where it is.
  if (!following("events")) box().scrollTop -= height - box().scrollHeight;
}

function more(before) {
  const line = document.getElementById("events-more");
  line.hidden = Number(before) <= 1;
  line.querySelector("a").search = `?tab=events&before=${before}`;
}

let loading = false;
async function earlier() {
  if (loading || !isAll() || document.getElementById("events-more").hidden) return;
  loading = true;
  await alone(prepend);
  loading = false;
}

async function prepend() {
  const first = numbered()[0];
  const height = box().scrollHeight - box().scrollTop;
  const url = `${location.pathname}/earlier?before=${first.dataset.seq}`;
  try {
    await htmx.ajax("GET", url, { target: "body", swap: "none" });
  } catch {
    return;
  }
  const rows = numbered();
  more(rows[0].dataset.seq);
  if (rows.length > most) {
    box().dataset.past = Number(box().dataset.past || 0) + rows.length - most;
    for (const row of rows.slice(most)) row.remove();
  }
  remember();
  box().scrollTop = box().scrollHeight - height;
}

export function newest() {
  if (!box()?.dataset.past) return;
  delete box().dataset.past;
  for (const row of numbered()) row.remove();
  document.dispatchEvent(new CustomEvent("countersign:pick"));
}
