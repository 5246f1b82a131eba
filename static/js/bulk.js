// The inbox: several reviews are selected by keys or boxes; the bar says what they have in common.

const state = { asked: 0, timer: 0, then: null };
const bar = () => document.getElementById("bulk-bar");
const boxes = () => [...document.querySelectorAll("input[type=checkbox][name=pick]")];
const picked = () => boxes().filter((box) => box.checked);
const boxOf = (row) => row?.closest("li")?.querySelector("input[type=checkbox][name=pick]");

export function startBulk() {
  if (!bar()) return;
  document.addEventListener("change", (event) => event.target.matches?.("input[type=checkbox][name=pick]") && changed());
  document.addEventListener("countersign:key", (event) => {
    if (!event.detail.done && act(event.detail.key)) event.detail.done = true;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    if (!event.target.matches("textarea, input[type=search]")) clear();
  });
  document.addEventListener("click", (event) => event.target.closest?.("[data-bulk-clear]") && clear());
  addEventListener("pageshow", changed); // a page that comes back may have boxes that are checked
}

function rowNow() {
  const at = document.activeElement.closest?.("[data-rows] li") || document.querySelector("[data-rows] li.at");
  return at?.querySelector("[data-row]") || document.querySelector("[data-rows] [data-row]");
}

function act(key) {
  if (key === "x") return toggle();
  if (key === "J" || key === "K") return extend(key === "J" ? 1 : -1);
  if (key === "a" || key === "r") return decide(key);
  if (key === "m") return remember();
  return false;
}

function toggle() {
  const row = rowNow();
  const box = boxOf(row);
  if (!box) return alone(row);
  box.checked = !box.checked;
  row.focus();
  changed();
  return true;
}

// What is decided by itself says so in the place of the bar.
function alone(row) {
  if (!row?.dataset.alone) return false;
  row.focus();
  if (!picked().length) {
    bar().hidden = false;
    bar().replaceChildren();
  }
  bar().querySelector("[data-alone-says]")?.remove();
  const line = document.createElement("p");
  line.className = "bulk-says tone-warn";
  line.dataset.aloneSays = "";
  line.textContent = row.dataset.alone;
  bar().append(line);
  return true;
}

function extend(way) {
  const rows = [...document.querySelectorAll("[data-rows] [data-row]")].filter(boxOf);
  const now = rows.indexOf(rowNow());
  if (now < 0) return false;
  const next = rows[Math.min(rows.length - 1, Math.max(0, now + way))];
  for (const row of [rows[now], next]) boxOf(row).checked = true;
  next.focus();
  next.scrollIntoView({ block: "nearest" });
  changed();
  return true;
}

// Low risk is approved from here, after a look at what it does; all else on its own page.
function decide(key) {
  const row = rowNow();
  const box = boxOf(row);
  if (key === "a" && picked().length) return toApprove();
  if (!box && row?.dataset.alone) {
    location.assign(`${row.href}${key === "r" ? "#call-note" : ""}`);
    return true;
  }
  if (!box) return false;
  if (key === "r" || box.dataset.risk !== "low") {
    location.assign(key === "r" ? `${row.href}#decision-note` : row.href);
    return true;
  }
  box.checked = true;
  state.then = toApprove;
  changed();
  return true;
}

// A call opens at what would be remembered with it; nothing is allowed before that was read.
function remember() {
  const row = rowNow();
  if (!row?.dataset.alone) return false;
  location.assign(`${row.href}#remember-first`);
  return true;
}

function toApprove() {
  const button = bar().querySelector("[data-bulk-approve]");
  if (!button) state.then = toApprove;
  else button.focus();
  return true;
}

function clear() {
  for (const box of picked()) box.checked = false;
  changed();
}

function changed() {
  const all = picked();
  for (const box of boxes()) box.closest("li").classList.toggle("picked", box.checked);
  bar().hidden = !all.length;
  clearTimeout(state.timer);
  state.asked += 1;
  if (!all.length) {
    bar().replaceChildren();
    state.then = null;
    return;
  }
  const strong = bar().querySelector("strong");
  if (strong) strong.textContent = `${all.length} selected`;
  bar().querySelector("[data-bulk-approve]")?.remove(); // it was for another selection
  state.timer = setTimeout(ask, 60, state.asked, all);
}

async function ask(number, all) {
  const query = new URLSearchParams(all.map((box) => ["pick", box.value]));
  const had = bar().contains(document.activeElement);
  try {
    const url = `${bar().dataset.bulk}?${query}`;
    const headers = { "HX-Request": "true", "HX-Current-URL": location.href };
    const answer = await fetch(url, { headers, credentials: "same-origin" });
    if (number !== state.asked) return; // an answer to an older selection
    if (!answer.ok) throw new Error(answer.statusText);
    show(await answer.text());
  } catch {
    if (number === state.asked) show(`<p class="bulk-says tone-warn">${all.length} selected. Not answered; try again.</p>`);
  }
  if (had) bar().querySelector("a, button, summary")?.focus();
  state.then?.();
  state.then = null;
}

// Our own fragment, escaped by the server.
function show(html) {
  bar().innerHTML = html;
}
