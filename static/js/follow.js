// A box that grows follows its end only while the reader is at the end.

const near = 40;
const kept = {
  stream: { on: true, seen: "", top: 0, height: 0 },
  events: { on: true, seen: "", top: 0, height: 0 },
};
const rows = { stream: ":scope > [id]:not([data-delta], details)", events: "#events > [id]" };

const box = (name) => document.querySelector(`[data-follows="${name}"]`);
export const following = (name) => kept[name].on;

export function startFollow(jump) {
  document.addEventListener("scroll", scrolled, { capture: true, passive: true });
  document.addEventListener("click", (event) => {
    const name = event.target.closest?.("[data-follow]")?.dataset.follow;
    if (name) toggle(name, jump);
  });
  for (const name of Object.keys(kept)) {
    if (box(name)?.hasAttribute("data-from-top")) set(name, false);
    grown(name);
  }
}

export function toggle(name, jump) {
  if (!box(name)) return;
  set(name, !kept[name].on);
  if (kept[name].on) jump(name);
  grown(name);
}

// Call after anything was added: keeps to the end, or counts what is new.
export function grown(name) {
  const node = box(name);
  if (!node) return;
  if (kept[name].on) {
    node.scrollTop = node.scrollHeight;
    stands(name, node);
  }
  label(name);
}

// Call before rows are taken away. A reader who left the end is told by the next frame, too late for
// rows that come before it: they would pull the reader back. In a box that shrank the browser moved.
export function heed(name) {
  const node = box(name);
  const { on, top, height } = kept[name];
  if (on && node.scrollTop < top - near && node.scrollHeight >= height) set(name, false);
}

function stands(name, node) {
  kept[name].top = node.scrollTop;
  kept[name].height = node.scrollHeight;
}

export function again(name) {
  set(name, true);
}

function set(name, on) {
  kept[name].on = on;
  kept[name].seen = on ? "" : (all(name).at(-1)?.id ?? "");
}

function scrolled(event) {
  const name = event.target.dataset?.follows;
  if (!name) return;
  const node = event.target;
  const up = node.scrollTop < kept[name].top;
  const atEnd = node.scrollHeight - node.scrollTop - node.clientHeight < near;
  stands(name, node);
  if (atEnd !== kept[name].on && (atEnd || up)) {
    set(name, atEnd && !past(name));
    label(name);
  }
}

const all = (name) => [...(box(name)?.querySelectorAll(rows[name]) ?? [])];
// The newest rows gave way to older ones: the end of the box is not the end of the list.
const past = (name) => Number(box(name)?.dataset.past || 0);

function label(name) {
  const button = document.querySelector(`[data-follow="${name}"]`);
  if (!button) return;
  const { on, seen } = kept[name];
  const list = on ? [] : all(name);
  const fresh = list.length - 1 - list.findIndex((row) => row.id === seen) + past(name);
  const word = on ? "Following" : fresh > 0 && list.length ? `${fresh} new, jump` : "Jump to the end";
  button.setAttribute("aria-pressed", String(on));
  if (button.textContent !== word) button.textContent = word;
}
