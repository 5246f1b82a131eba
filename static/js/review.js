// The review page: which way the diff lies, where the next file or change is, who gets the note.

import { confirmFirst, untyped } from "./confirming.js";
import { lineKey } from "./lines.js";

const modes = ["split", "unified"];

export function startReview() {
  if (!document.querySelector("[data-diff], form#decision")) return;
  showMode(new URLSearchParams(location.search).get("diff") || stored() || "split");
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-diff-mode]");
    if (!button) return;
    event.preventDefault();
    chooseMode(button.dataset.diffMode);
  });
  document.addEventListener("countersign:key", (event) => {
    if (key(event.detail.key)) event.detail.done = true;
  });
  document.querySelector("[data-decide=X]")?.addEventListener("click", needsReason);
  document.querySelector("[data-decide=r]")?.addEventListener("click", needsWord);
  document.addEventListener("submit", (event) => {
    const mark = event.target.querySelector("[data-viewed]");
    if (mark) marked.set(mark.closest("[data-file]"), isViewed(mark));
  });
  document.addEventListener("htmx:after:swap", swapped);
  document.addEventListener("change", openNote);
  document.addEventListener("change", sayReader);
  document.addEventListener("change", say);
  document.addEventListener("input", say);
  say();
  // Measured when the page is laid out anyway: each time before costs as much again.
  requestAnimationFrame(() => {
    spy();
    markMode();
  });
  settle();
}

// Lays out what is off the screen while nobody waits: only then is it as high as it is, and a jump exact.
function settle() {
  const left = [...document.querySelectorAll("[data-hunk]")];
  const idle = window.requestIdleCallback
    || ((work) => setTimeout(() => work({ timeRemaining: () => 8 }), 50));
  const some = (slice) => {
    do {
      const hunk = left.shift();
      if (!hunk) return;
      hunk.style.contentVisibility = "visible";
      hunk.getBoundingClientRect();
    } while (slice.timeRemaining() > 4);
    idle(some);
  };
  idle(some);
}

function stored() {
  try {
    return localStorage.getItem("countersign:diff");
  } catch {
    return null;
  }
}

function chooseMode(mode) {
  try {
    localStorage.setItem("countersign:diff", mode);
  } catch {
    // Only this page remembers, then.
  }
  const url = new URL(location.href);
  url.searchParams.set("diff", mode);
  history.replaceState(history.state, "", url);
  showMode(mode);
  markMode();
}

function splitNow() {
  const diff = document.querySelector("[data-diff]");
  return diff ? !diff.classList.contains("diff-unified") && diff.clientWidth >= 760 : false;
}

function showMode(mode) {
  const known = modes.includes(mode) ? mode : "split";
  for (const diff of document.querySelectorAll("[data-diff]")) {
    for (const name of modes) diff.classList.toggle(`diff-${name}`, name === known);
  }
}

// Where there is no room for two sides, it is unified whatever was chosen.
function markMode() {
  const now = splitNow() ? "split" : "unified";
  for (const button of document.querySelectorAll("[data-diff-mode]")) {
    button.setAttribute("aria-pressed", String(button.dataset.diffMode === now));
  }
}

function key(pressed) {
  if (pressed === "u") chooseMode(splitNow() ? "unified" : "split");
  else if (pressed === "]" || pressed === "[") step("[data-file]", pressed === "]" ? 1 : -1);
  else if (pressed === "n" || pressed === "p") step("[data-change], [data-spaces] > summary", pressed === "n" ? 1 : -1);
  else if (pressed === "v") view();
  else if (pressed === "e") return edit();
  else if ("12345".includes(pressed)) document.querySelectorAll("[data-spy] a")[pressed - 1]?.click();
  else return lineKey(pressed) || decide(pressed);
  return true;
}

const marked = new Map(); // files whose marks are on their way, each with what it was before
const isViewed = (mark) => mark.getAttribute("aria-pressed") === "true";

// Opens the file that has the focus, or is under the eyes, to be edited; else the first that can be.
function edit() {
  const link = current()?.querySelector("[data-edit]") || document.querySelector("[data-edit-here]");
  link?.click();
  return Boolean(link);
}

function current() {
  const top = Math.max(48, document.querySelector(".review-main").getBoundingClientRect().top);
  const files = [...document.querySelectorAll("[data-file]")];
  return document.activeElement.closest("[data-file]")
    || files.find((node) => node.getBoundingClientRect().bottom > top + 8);
}

// Marks the file that has the focus, or is under the eyes, and goes on to the next.
function view() {
  const files = [...document.querySelectorAll("[data-file]")];
  const file = current();
  const mark = file?.querySelector("[data-viewed]");
  if (!mark) return;
  if (!isViewed(mark)) mark.form.requestSubmit();
  const next = files[files.indexOf(file) + 1] || file;
  next.scrollIntoView({ block: "start" });
  next.querySelector("summary").focus({ preventScroll: true });
}

function swapped() {
  for (const [file, before] of marked) {
    const now = isViewed(file.querySelector("[data-viewed]"));
    if (now === before) continue; // not its own answer
    file.querySelector("details").open = !now;
    marked.delete(file);
  }
  say();
}

const box = (node) => node.getBoundingClientRect();
const drawn = (node) => node.getClientRects().length > 0;

// Goes on from what has the focus, or from where the eyes are when that is off the screen.
function step(selector, way) {
  const nodes = [...document.querySelectorAll(selector)];
  if (way < 0) nodes.reverse();
  const focused = document.activeElement.closest(selector);
  const found = focused && seen(focused)
    ? nodes.slice(nodes.indexOf(focused) + 1).find(drawn)
    : nodes.find(ahead(way));
  if (!found) return;
  found.scrollIntoView({ block: "start" });
  // What came onto the screen with it may be higher than it seemed.
  requestAnimationFrame(() => found.scrollIntoView({ block: "start" }));
  (found.matches("[tabindex], summary") ? found : found.querySelector("summary"))?.focus({ preventScroll: true });
}

const seen = (node) => drawn(node) && box(node).bottom > 0 && box(node).top < innerHeight;

// Asks the hunk first: what is in one that is not on the screen has to be laid out to be measured.
function ahead(way) {
  const top = Math.max(48, box(document.querySelector(".review-main")).top);
  const margin = 64; // what is scrolled to stands so far below
  const reaches = (hunk) => !hunk || (way > 0 ? box(hunk).bottom > top + margin : box(hunk).top < top - 8);
  const beyond = (node) => (way > 0 ? box(node).top > top + margin : box(node).top < top - 8);
  return (node) => reaches(node.closest("[data-hunk]")) && drawn(node) && beyond(node);
}

function decide(pressed) {
  const button = document.querySelector(`[data-decide="${CSS.escape(pressed)}"]`);
  if (!button) return false;
  if (pressed !== "a" || !confirmFirst(button.form)) button.focus();
  return true;
}

function needsReason(event) {
  const note = document.getElementById("decision-note");
  if (note.value.trim()) return;
  event.preventDefault();
  note.focus();
  hintAt("A reason is needed to reject. Nothing is signed yet.");
}

const typedIn = (node) => [...node.querySelectorAll("textarea")].some((field) => field.value.trim());

// A hunk is refused with a note, a comment on a line of it, or the note on the whole.
function needsWord(event) {
  if (document.getElementById("decision-note").value.trim()) return;
  const silent = [...document.querySelectorAll("[data-hunk]")].find(
    (hunk) => hunk.querySelector("input[value=refuse]")?.checked && !typedIn(hunk),
  );
  if (!silent) return;
  event.preventDefault();
  const note = silent.querySelector("details.hunk-note");
  note.open = true;
  note.querySelector("textarea").focus();
  hintAt("Say what must change in what you refuse. Nothing is signed yet.");
}

function openNote(event) {
  if (event.target.matches?.("input[value=refuse]:checked")) {
    event.target.closest("[data-hunk]").querySelector("details.hunk-note").open = true;
  }
}

function hintAt(words) {
  const hint = document.querySelector("[data-refused]");
  hint.hidden = false;
  hint.textContent = words;
}

// Yields a field of each hunk that is refused, or noted, with its verdict. The form has them all at hand: to
// look through the lines of a long change takes a key's time.
function* saidOfHunks(form) {
  const fields = [...form.elements];
  const of = (kind, told) => new Map(
    fields.filter((field) => field.name.startsWith(kind) && told(field)).map((field) => [field.name.slice(kind.length), field]),
  );
  const verdicts = of("verdict-", (field) => field.checked);
  const notes = of("note-", (field) => field.value.trim());
  for (const [hunk, field] of new Map([...notes, ...verdicts])) {
    const verdict = verdicts.get(hunk)?.value;
    if (verdict !== "accept" || notes.has(hunk)) yield [field, verdict];
  }
}

// What is sent back, told before it is: whom it goes to, by slug and how many, and what goes to nobody.
function sent(form) {
  const goes = new Map();
  const add = (slug) => goes.set(slug, (goes.get(slug) || 0) + 1);
  let [refused, kept] = [0, 0];
  for (const [field, verdict] of saidOfHunks(form)) {
    if (verdict === "accept") {
      kept += 1;
      continue;
    }
    if (verdict === "refuse") refused += 1;
    const hunk = field.closest("[data-hunk]");
    add(hunk.querySelector(".hunk-note select")?.value || hunk.dataset.agent);
  }
  for (const on of document.querySelectorAll("[data-line-say]")) {
    if (on.querySelector("textarea").value.trim()) add(on.querySelector("[name=say-to]").value);
  }
  return { goes, refused, kept };
}

const counted = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
const listed = (names) => [names.slice(0, -1).join(", "), names.at(-1)].filter(Boolean).join(" and ");

function sayWhom(form, { goes, kept }) {
  const boxes = [...form.querySelectorAll("[name=agents]")];
  const names = new Map(boxes.map((box) => [box.value, box.labels[0].textContent.trim()]));
  const named = (slugs) => listed([...slugs].map((slug) => names.get(slug) || "everybody who worked"));
  const parts = [...goes].map(([slug, count]) => `${named([slug])} gets ${counted(count, "comment")}`);
  const others = goes.has("") ? [] : [...names.keys()].filter((slug) => !goes.has(slug));
  if (parts.length && others.length) parts.push(`${named(others)} ${others.length === 1 ? "gets" : "get"} none`);
  if (kept) parts.push(`${counted(kept, "note")} on what you accept ${kept === 1 ? "goes" : "go"} to nobody`);
  const place = form.querySelector("[data-goes-to]");
  if (place) place.textContent = parts.length ? `. ${parts.join(", ")}` : "";
  const chosen = boxes.filter((box) => box.checked).map((box) => box.value);
  const readers = form.querySelector("[data-note-goes-to]");
  if (readers) readers.textContent = chosen.length ? named(chosen) : goes.size ? named(goes.keys()) : "every author";
}

// The fold of a note says whom it goes to while it is closed.
function sayReader(event) {
  const select = event.target;
  if (!select.matches?.(".hunk-note select")) return;
  select.closest("details").querySelector(".note-to").textContent = `goes to ${select.selectedOptions[0].textContent}`;
}

function say() {
  const form = document.getElementById("decision");
  if (!form) return;
  const said = sent(form);
  const { refused } = said;
  sayWhom(form, said);
  const hint = form.querySelector("[data-refused]");
  const left = Number(document.getElementById("files-viewed")?.dataset.left || 0);
  const approve = form.querySelector("[data-decide=a]");
  const why = approve?.dataset.moved || (refused
    ? `${refused} ${refused === 1 ? "hunk is" : "hunks are"} refused, so it cannot be approved as it is.`
    : left ? `View ${left} more ${left === 1 ? "file" : "files"} to approve.` : "");
  if (hint) {
    hint.hidden = !why;
    hint.textContent = why;
  }
  approve?.toggleAttribute("data-missing", Boolean(why));
  approve?.setAttribute("aria-disabled", String(Boolean(why) || untyped(form)));
}

function spy() {
  const links = [...document.querySelectorAll("[data-spy] a[href^='#']")];
  const parts = links.map((link) => document.getElementById(link.hash.slice(1)));
  const mark = () => {
    let now = 0;
    parts.forEach((part, index) => {
      if (part && part.getBoundingClientRect().top < innerHeight * 0.4) now = index;
    });
    links.forEach((link, index) => {
      if (index === now) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
  };
  mark();
  addEventListener("scroll", mark, { passive: true, capture: true });
}
