// Single keys: never in a field, never with a modifier, off when the person says so (WCAG 2.1.4).
// No key decides: it moves the focus to the button, or to what is to be typed before; Enter confirms.

import { confirmFirst } from "./confirming.js";

const places = { i: "/inbox", t: "/tasks", m: "/memory", b: "/notifications" };
const moves = /^([jkJKnp[\]]|Arrow.*)$/;
let waiting = 0;

function typing(target) {
  return target.closest?.("input:not([type=radio]):not([type=checkbox]), textarea, select, [contenteditable]");
}

export function startKeys() {
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      document.dispatchEvent(new CustomEvent("countersign:palette"));
      return;
    }
    if (event.key === "Escape") closeAll(event);
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (document.body.dataset.singleKeys !== "1" || typing(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    // A key that is held goes on and on only where it moves.
    if (event.repeat && !moves.test(event.key)) return;
    if (act(event.key)) event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-keys-help]")) document.getElementById("keys-help")?.showModal();
  });
  // An inbox without room for a look sends these two to the row's own page. An element of that name would
  // be gone to by the browser, which takes the focus away again.
  const sent = /^#key-([hs])$/.exec(location.hash);
  if (sent) press(sent[1]);
}

function act(key) {
  if (waiting && Date.now() - waiting < 1200 && places[key]) {
    location.assign(places[key]);
    return true;
  }
  waiting = key === "g" ? Date.now() : 0;
  if (key === "g") return true;
  const detail = { key, done: false };
  document.dispatchEvent(new CustomEvent("countersign:key", { detail }));
  return detail.done || press(key) || general(key);
}

// What a key goes to: the first that can be seen.
export function keyed(key) {
  const nodes = [...document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)];
  return nodes.find((node) => node.getClientRects().length);
}

export function press(key) {
  const node = keyed(key);
  if (!node) return false;
  if (node.tagName === "SUMMARY") {
    node.parentElement.open = true;
    const first = (what) => node.parentElement.querySelector(what);
    (first("[data-first]") ?? first("textarea, input:not([type=hidden])") ?? first("button"))?.focus();
  } else if (node.tagName === "A") {
    node.click();
  } else if (!node.matches("[data-confirmed]") || !confirmFirst(node.form)) {
    node.focus();
  }
  return true;
}

function general(key) {
  if (key === "?") document.getElementById("keys-help")?.showModal();
  else if (key === "/") document.dispatchEvent(new CustomEvent("countersign:palette"));
  else if (key === "n") location.assign("/new");
  else if (key === "t") document.querySelector("[data-theme-switch]")?.click();
  else return false;
  return true;
}

// One press closes one thing: who hears of it next sees that it was used.
function closeAll(event) {
  if (document.querySelector("dialog[open]")) return;
  for (const pop of document.querySelectorAll("details.pop[open]")) {
    event.preventDefault();
    pop.open = false;
    pop.querySelector("summary")?.focus();
  }
  if (typing(event.target)) event.target.blur();
}
