// The look beside a list: it follows the row that has the focus, Space puts it away, and what h and s open
// and what z undoes is always about that row, never about one that was shown before.

import { keyed, press } from "./keys.js";

const state = { timer: 0, then: "" };
const menus = ["h", "s", "z"];
const place = () => document.getElementById("peek");
export const looking = () => Boolean(place()?.getClientRects().length);
const rowOf = (item) => item?.querySelector("[data-row]");
const shown = () => place().querySelector("[data-shows]")?.dataset.shows;
const shows = (row) => row?.closest("li").id === `row-${shown()}`;

export function startLook() {
  if (!document.querySelector("[data-peek]")) return;
  if (away()) document.querySelector(".inbox-cols").classList.add("no-peek");
  document.addEventListener("focusin", (event) => {
    const row = event.target.closest?.("[data-peek] [data-peek-url]");
    if (row) follow(row);
  });
  document.addEventListener("countersign:key", ({ detail }) => {
    if (detail.key === " ") detail.done ||= turn();
    else if (menus.includes(detail.key)) detail.done ||= menu(detail.key);
  });
  document.addEventListener("htmx:after:swap", came);
}

function rowNow() {
  const item = document.activeElement.closest("[data-rows] li") || document.querySelector("[data-peek] li.at");
  return rowOf(item);
}

function follow(row) {
  state.then = "";
  if (!looking()) return;
  for (const other of document.querySelectorAll("[data-peek] li.at")) other.classList.remove("at");
  row.closest("li").classList.add("at");
  clearTimeout(state.timer);
  state.timer = setTimeout(ask, 90, row);
}

// The newest row is what counts: its request ends one that is on its way (hx-sync of the place).
function ask(row) {
  const url = location.pathname + row.dataset.peekUrl;
  history.replaceState(history.state, "", url);
  htmx.ajax("GET", url, { source: "#peek", target: "#peek", swap: "innerHTML", select: "#peek > *" });
}

// True when nothing more is to be done: the menu is not there, or not yet.
function menu(key) {
  const row = rowNow();
  const node = keyed(key);
  const last = node?.closest("[data-toast]"); // what was decided last, unless the row is such a one
  if (!row || (node && !last && !place()?.contains(node))) return false; // the bar's is about all that are selected
  if (!looking() || !row.dataset.peekUrl) {
    const own = key === "z" && row.closest("li").querySelector("[data-undo]");
    if (own) own.focus();
    else if (last) return false;
    else if ("menus" in row.dataset) location.assign(`${row.href}#key-${key}`);
    return true;
  }
  if (shows(row)) {
    clearTimeout(state.timer);
    htmx.trigger("#peek", "htmx:abort"); // no other look comes in place of an open menu
    return false;
  }
  follow(row);
  state.then = key;
  return true;
}

function came() {
  if (!state.then || !looking() || !shows(rowNow())) return;
  press(state.then);
  state.then = "";
}

function away() {
  try {
    return localStorage.getItem("countersign:peek") === "off";
  } catch {
    return false;
  }
}

// Put away, where there is room for it, and called back.
function turn() {
  const free = document.activeElement === document.body || document.activeElement.matches("[data-row]");
  if (!free || !place() || !matchMedia("(min-width: 1280px)").matches) return false;
  const off = place().parentElement.classList.toggle("no-peek");
  const row = rowNow();
  if (!off && row?.dataset.peekUrl && !shows(row)) follow(row);
  try {
    localStorage.setItem("countersign:peek", off ? "off" : "on");
  } catch {
    // Only this page remembers, then.
  }
  return true;
}
