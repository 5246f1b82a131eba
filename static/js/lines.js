// Lines of the diff: a cursor moved by the arrows, and comments under them, kept as drafts.

const prefix = "countersign:draft:";
const form = () => document.getElementById("decision");

export function startLines() {
  if (!form()) return;
  document.querySelector(".review-main").classList.add("may-say");
  for (const drawn of document.querySelectorAll("[data-line-say]")) redraw(drawn);
  fromDraft();
  document.addEventListener("click", (event) => {
    // The number and the sign are drawn by the style, so they are the cell itself; and so is what a
    // selection ends in that was drawn from one cell to another.
    if (event.target.matches?.(".diff-cell") && getSelection().isCollapsed) write(event.target);
    const say = event.target.closest?.("[data-line-drop]")?.closest("[data-line-say]");
    if (say) drop(say);
  });
  document.addEventListener("keydown", (event) => {
    const say = event.target.closest?.("[data-line-say]");
    if (say && event.key === "Escape") focus(cellOf(say));
    // No key decides: it goes to the button, Enter confirms.
    const sends = event.key === "Enter" && (event.ctrlKey || event.metaKey);
    if (!sends || event.target.form !== form() || !event.target.matches("textarea")) return;
    event.preventDefault();
    form().querySelector("[data-decide=r]").focus();
  });
}

// What a page that was drawn again holds: it moves to its line, with the draft's name.
function redraw(drawn) {
  const value = (name) => drawn.querySelector(`[name=${name}]`).value;
  const hunk = document.querySelector(`[data-hunk="${CSS.escape(value("say-hunk"))}"]`);
  const cell = hunk && find(hunk, value("say-side"), Number(value("say-line")));
  if (!cell) return;
  const said = { note: value("say-note"), agent: value("say-to") };
  drawn.remove();
  draw(cell, said);
}

function fromDraft() {
  let typed;
  try {
    typed = JSON.parse(localStorage.getItem(prefix + form().dataset.draft) || "null");
  } catch {
    return;
  }
  for (const [name, note] of Object.entries(typed || {})) {
    const [kind, kept, side, offset] = name.split("|");
    if (kind !== "say") continue;
    const hunk = document.querySelector(`[data-kept-as="${CSS.escape(kept)}"]`);
    const cell = hunk && find(hunk, side, first(hunk, side) + Number(offset));
    if (cell) draw(cell, { note, agent: typed[name.replace("say|", "to|")] });
  }
}

const sideOf = (cell) => (cell.classList.contains("diff-old") ? "old" : "new");
// Lines around a hunk are no part of it: nothing is said on them.
const numberOf = (cell) => (cell.closest("[data-around]") ? 0 : Number(cell.dataset.n || 0));
const numbered = (cells) => [...cells].filter((cell) => numberOf(cell));
const shown = (cells) => numbered(cells).filter((cell) => cell.getClientRects().length);

function find(hunk, side, number) {
  return numbered(hunk.querySelectorAll(`.diff-${side}`)).find((cell) => numberOf(cell) === number);
}

// Main may move a hunk, and the lines around what it changes: drafts count from the first change.
function first(hunk, side) {
  const change = hunk.querySelector("[data-change]");
  const cells = numbered(hunk.querySelectorAll(`.diff-${side}`));
  const from = cells.find((cell) => change.contains(cell)
    || change.compareDocumentPosition(cell) & Node.DOCUMENT_POSITION_FOLLOWING);
  return from ? numberOf(from) : numberOf(cells.at(-1)) + 1;
}

function write(cell) {
  // A line that stays is the same on both sides.
  const stays = !cell.closest("[data-change]") && cell.parentElement.querySelector(".diff-new");
  const place = below(stays || cell);
  if (!place || !numberOf(place)) return;
  const say = draw(place, {});
  say.querySelector("textarea").focus();
}

// What differs between two versions is commented on where it stands in this one: it is told once, by the
// first of all hunks that share its place now.
function below(cell) {
  const between = cell.closest("[data-between]");
  if (!between) return cell;
  if (sideOf(cell) !== "new") return null;
  const hunks = [...between.closest("[data-file]").querySelectorAll("[data-hunk]")];
  return hunks.map((hunk) => find(hunk, "new", numberOf(cell))).find(Boolean);
}

function draw(cell, { note = "", agent = "" }) {
  const hunk = cell.closest("[data-hunk]");
  const [side, number] = [sideOf(cell), numberOf(cell)];
  const at = `${side}-${number}`;
  const there = hunk.querySelector(`[data-line-say="${at}"]`);
  if (there) return there;
  const row = document.getElementById("line-say").content.firstElementChild.cloneNode(true);
  const say = row.querySelector("[data-line-say]");
  say.dataset.lineSay = at;
  row.classList.add(`line-${side}`);
  const fields = { hunk: hunk.dataset.hunk, line: number, side, note };
  for (const [name, value] of Object.entries(fields)) {
    say.querySelector(`[name=say-${name}]`).value = value;
  }
  const word = `Line ${number} ${side === "old" ? "as it was" : "as proposed"}`;
  say.querySelector("[data-line-word]").textContent = word;
  say.querySelector("textarea").setAttribute("aria-label", `Comment on ${word.toLowerCase()}`);
  goesTo(say.querySelector("select"), hunk.dataset.agent, agent);
  const kept = `${hunk.dataset.keptAs}|${side}|${number - first(hunk, side)}`;
  say.querySelector("textarea").dataset.kept = `say|${kept}`;
  say.querySelector("select").dataset.kept = `to|${kept}`;
  cell.closest(".diff-row").after(row);
  row.closest("[data-spaces]")?.setAttribute("open", ""); // what is typed is never folded
  return say;
}

function goesTo(select, author, chosen) {
  if (author) select.querySelector("option[value='']")?.remove();
  // A draft of another version may name an agent who took no part in this one.
  const there = (slug) => [...select.options].some((option) => option.value === slug);
  if (there(chosen || author)) select.value = chosen || author;
  else if (there(author)) select.value = author;
  else select.selectedIndex = 0;
}

function cellOf(say) {
  const [side, number] = say.dataset.lineSay.split("-");
  return find(say.closest("[data-hunk]"), side, Number(number));
}

function drop(say) {
  const cell = cellOf(say);
  say.closest(".line-row").remove();
  // The draft forgets it too.
  document.getElementById("decision-note").dispatchEvent(new Event("input", { bubbles: true }));
  focus(cell);
}

export function lineKey(pressed) {
  if (pressed === "c") return comment();
  const way = { ArrowDown: 1, ArrowUp: -1, ArrowRight: "new", ArrowLeft: "old" }[pressed];
  return way ? move(way) : false;
}

// The line under the cursor; else the first of the change or file that has the focus.
function here() {
  const active = document.activeElement;
  const cell = active.closest(".diff-cell");
  if (cell) return cell;
  if (active.matches("input, select, textarea, button")) return null;
  const within = active.closest("[data-change]") || active.closest("[data-file]")?.querySelector("[data-change]");
  return within ? starts(within) : null;
}

function starts(change) {
  return shown(change.querySelectorAll(".diff-new"))[0] || shown(change.querySelectorAll(".diff-old"))[0];
}

function comment() {
  const changes = [...document.querySelectorAll("[data-change]")];
  const seen = changes.find((change) => {
    const { top, bottom } = change.getBoundingClientRect();
    return bottom > 60 && top < innerHeight;
  });
  const cell = here() || (seen && starts(seen));
  if (!cell || !form()) return false;
  write(cell);
  return true;
}

function move(way) {
  const cell = here();
  if (!cell) return false;
  if (!document.activeElement.closest(".diff-cell")) focus(cell);
  else if (typeof way === "string") focus(shown(cell.parentElement.querySelectorAll(`.diff-${way}`))[0]);
  else focus(beside(cell, way));
  return true;
}

function beside(cell, way) {
  const diff = cell.closest("[data-diff]");
  const cells = [];
  for (const block of diff.querySelectorAll(".diff-block")) {
    const of = (side) => shown(block.querySelectorAll(`.diff-${side}`));
    // Side by side the cursor stays in its column; one under the other, the old lines come first.
    if (getComputedStyle(cell.parentElement).display === "grid") cells.push(...of(sideOf(cell)));
    else cells.push(...of("old"), ...of("new"));
  }
  return cells[cells.indexOf(cell) + way];
}

function focus(cell) {
  if (!cell) return;
  cell.tabIndex = -1;
  cell.focus({ preventScroll: true });
  cell.scrollIntoView({ block: "nearest" });
}
