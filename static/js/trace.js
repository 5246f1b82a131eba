// The trace: j and k move, h and l close and open, Enter shows what is in a span.
// Everything here is a link first: without JavaScript the same addresses are pages.

const grid = () => document.querySelector("[data-trace]");
const drawer = () => document.querySelector("[data-drawer]");
const rowOf = (node) => node?.closest?.("[data-span]");
const level = (row) => Number(row.dataset.level);
const linkOf = (row) => row.querySelector("[data-look]");
let looking = 0;
let looks = 0;
let reached;
let tidied = 0;

export function startTrace() {
  if (!grid() && !drawer()) return;
  document.addEventListener("countersign:key", (event) => {
    if (key(event.detail.key)) event.detail.done = true;
  });
  document.addEventListener("keydown", arrows);
  document.addEventListener("click", clicked);
  document.addEventListener("focusin", focused);
  document.addEventListener("htmx:after:swap", tidy);
  document.querySelector("[data-trace-form]")?.addEventListener("submit", keepSpan);
  tidy();
}

// Only one row takes the Tab key; the others are reached by the keys of the tree. Called after every
// swap of the page: nothing is to be done unless rows came.
function tidy() {
  const rows = [...(grid()?.getElementsByClassName("tr-row") || [])];
  if (rows.length === tidied) return;
  tidied = rows.length;
  let closed = Infinity;
  for (const row of rows) {
    row.hidden = level(row) > closed;
    if (!row.hidden) closed = row.ariaExpanded === "false" ? level(row) : Infinity;
    for (const link of row.querySelectorAll("a")) link.tabIndex = -1;
  }
  for (const group of grid()?.querySelectorAll("[role=rowgroup]") || []) fold(group);
  const now = rows.find((row) => row.ariaSelected === "true" && !row.hidden) || rows[0];
  if (now) reach(now);
}

function reach(row) {
  if (reached?.isConnected) linkOf(reached).tabIndex = -1;
  linkOf(row).tabIndex = 0;
  reached = row;
}

function key(pressed) {
  const tree = grid();
  if (!tree) return false;
  const row = rowOf(document.activeElement);
  if (pressed === "j" || pressed === "k") return go(row ? beside(row, pressed === "j" ? 1 : -1) : first());
  if (pressed === "l") return row ? inward(row) : false;
  if (pressed === "h") return row ? outward(row) : false;
  return false;
}

function arrows(event) {
  const row = rowOf(document.activeElement);
  if (event.key === "Escape" && shown() && !event.defaultPrevented && !document.querySelector("dialog[open]")) {
    if (!document.activeElement.closest("input, textarea")) close();
    return;
  }
  if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
  const act = {
    ArrowDown: () => go(beside(row, 1)),
    ArrowUp: () => go(beside(row, -1)),
    ArrowRight: () => inward(row),
    ArrowLeft: () => outward(row),
    Home: () => go(first()),
    End: () => go(beside(null, -1)),
  }[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
}

// Rows stand in groups of fifty, so that a browser lays out only those on the screen.
const isRow = (node) => (node?.matches("[data-span]") ? node : null);
const after = (row) => row.nextElementSibling || isRow(row.parentElement.nextElementSibling?.firstElementChild);
const before = (row) => row.previousElementSibling || isRow(row.parentElement.previousElementSibling?.lastElementChild);
const visible = (row) => row && !row.hidden;
const first = () => grid().querySelector("[data-span]:not([hidden])");

function beside(row, way) {
  let next = row || [...grid().querySelectorAll("[data-span]:not([hidden])")].at(-1);
  if (!row) return next;
  do next = way > 0 ? after(next) : before(next);
  while (next && !visible(next));
  return next;
}

function go(row) {
  if (!row) return true;
  linkOf(row).focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
  return true;
}

function inward(row) {
  if (row.ariaExpanded === "false") turn(row);
  else if (row.ariaExpanded === "true") go(beside(row, 1));
  return true;
}

function outward(row) {
  if (row.ariaExpanded === "true") return turn(row);
  let above = before(row);
  while (above && level(above) >= level(row)) above = before(above);
  return go(above);
}

// Opens or closes a row: what is below is hidden, or fetched when it was never there.
function turn(row) {
  const open = row.ariaExpanded !== "true";
  row.ariaExpanded = String(open);
  turned(row.dataset.span);
  const next = after(row);
  if (open && !(next && level(next) > level(row))) fetchBelow(row);
  else tidyBelow(row);
  return true;
}

function tidyBelow(row) {
  let closed = row.ariaExpanded === "true" ? Infinity : level(row);
  const groups = new Set();
  for (let next = after(row); next && level(next) > level(row); next = after(next)) {
    next.hidden = level(next) > closed;
    if (!next.hidden) closed = next.ariaExpanded === "false" ? level(next) : Infinity;
    groups.add(next.parentElement);
  }
  groups.forEach(fold);
}

// A group without a row to see takes no room, whatever the browser remembers of it.
function fold(group) {
  group.hidden = !group.querySelector("[data-span]:not([hidden])");
}

async function fetchBelow(row) {
  if (row.ariaBusy) return;
  const url = new URL(location.href);
  url.searchParams.set("part", "below");
  url.searchParams.set("of", row.dataset.span);
  row.ariaBusy = "true";
  await htmx.ajax("GET", url.pathname + url.search, { source: row, target: row, swap: "afterend" });
  row.ariaBusy = null;
}

function turned(span) {
  const url = new URL(location.href);
  const before = url.searchParams.getAll("turn");
  url.searchParams.delete("turn");
  const after = before.includes(span) ? before.filter((each) => each !== span) : [...before, span];
  for (const each of after) url.searchParams.append("turn", each);
  history.replaceState(history.state, "", url);
}

function clicked(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  const link = event.target.closest?.("a");
  if (!link) return;
  if (link.matches("[data-turn]")) {
    event.preventDefault();
    turn(rowOf(link));
  } else if (link.matches("[data-look]")) {
    event.preventDefault();
    look(new URL(link.href).searchParams.get("span"), true);
  } else if (link.matches("[data-close]")) {
    event.preventDefault();
    close();
  } else if (link.matches("[data-whole]")) {
    event.preventDefault();
    look(new URLSearchParams(location.search).get("span"), false, true);
  } else if (link.closest("[data-trace-links]") && link.getAttribute("href")) {
    link.href = kept(new URL(link.href));
  }
}

// Other links go where they say, with the span that is looked at now.
function kept(url) {
  const span = new URLSearchParams(location.search).get("span");
  if (span) url.searchParams.set("span", span);
  else url.searchParams.delete("span");
  return url.href;
}

function keepSpan(event) {
  const span = new URLSearchParams(location.search).get("span") || "";
  const field = event.target.elements.span;
  if (field) field.value = span;
}

const spread = (open) => document.querySelector(".trace-cols")?.classList.toggle("has-span", open);
const shown = () => drawer()?.classList.contains("span-open");

// While the drawer is open it follows the row that has the focus.
function focused(event) {
  const row = rowOf(event.target);
  if (!row || !grid()?.contains(row)) return;
  reach(row);
  clearTimeout(looking);
  const fixed = shown() && getComputedStyle(drawer()).position === "fixed";
  if (shown() && !fixed && row.ariaSelected !== "true") looking = setTimeout(() => look(row.dataset.span, false), 90);
}

async function look(span, opened, whole = false) {
  clearTimeout(looking);
  const url = new URL(location.href);
  url.searchParams.set("span", span);
  if (whole) url.searchParams.set("whole", "1");
  else url.searchParams.delete("whole");
  history.replaceState(history.state, "", url);
  url.searchParams.set("part", "span");
  const number = (looks += 1);
  await htmx.ajax("GET", url.pathname + url.search, { source: "#span", target: "#span", swap: "outerHTML" });
  if (number !== looks) return; // another was asked for meanwhile, and says what it shows
  spread(shown());
  choose(span);
  const line = document.getElementById("status-line");
  const word = drawer().querySelector("h2")?.textContent;
  if (line && word) line.textContent = `Shown: ${word}`;
  if (opened && getComputedStyle(drawer()).position === "fixed") drawer().focus();
}

function choose(span) {
  for (const row of grid()?.querySelectorAll('[aria-selected="true"]') || []) row.ariaSelected = null;
  const row = span && grid()?.querySelector(`[data-span="${CSS.escape(span)}"]`);
  if (row) row.ariaSelected = "true";
  return row;
}

function close() {
  clearTimeout(looking);
  looks += 1;
  htmx.trigger("#span", "htmx:abort");
  const url = new URL(location.href);
  const span = url.searchParams.get("span");
  url.searchParams.delete("span");
  url.searchParams.delete("whole");
  history.replaceState(history.state, "", url);
  drawer().classList.remove("span-open");
  drawer().replaceChildren();
  spread(false);
  const row = choose(span);
  choose("");
  if (row) go(row);
}
