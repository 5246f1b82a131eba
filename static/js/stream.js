// The live pane of one agent: what is being written is put here, finished messages come from the
// server. What the other agents write is kept, so that changing to one of them shows it at once.

import { plain } from "./characters.js";
import { again, following, grown } from "./follow.js";

const quiet = 4000; // the agent shown said nothing for so long, and another does: change to it
const recent = 1500;

const kinds = ["delta", "thinking"]; // of frames: what is said, and what is thought before
const each = (make) => Object.fromEntries(kinds.map((kind) => [kind, make()]));
const written = each(() => new Map()); // step: text of its unfinished message, from where to where
const nothing = { text: "", start: 0, end: 0 };
const active = new Map(); // step: when it last did something
const settled = each(() => new Set()); // steps whose message became a row that is not yet shown
let shown = "";
let wanted = "";

const pane = () => document.getElementById("stream");

export function startStream() {
  if (!pane()) return;
  shown = pane().dataset.step;
  setInterval(look, 1000);
}

// Take a frame of the socket; true when nothing else need be done about it.
export function heard(frame) {
  if (frame.step) active.set(frame.step, Date.now());
  if (frame.kind === "message") for (const kind of kinds) settled[kind].add(frame.step);
  if (!kinds.includes(frame.kind)) return false;
  if (append(frame) && frame.step === shown) paint();
  return true;
}

function append(frame) {
  const texts = written[frame.kind];
  // Who comes late to a long message gets its last pieces only.
  const begun = { ...nothing, start: frame.offset, end: frame.offset };
  const { text, start, end } = texts.get(frame.step) ?? begun;
  // A gap means frames were missed: wait for the finished message rather than show half of it.
  if (frame.offset > end) return false;
  if (frame.offset === 0) settled[frame.kind].delete(frame.step);
  const kept = Math.max(0, frame.offset - start);
  const before = frame.offset === end ? text : characters(text).slice(0, kept).join("");
  texts.set(frame.step, {
    text: before + frame.text,
    start: Math.min(start, frame.offset),
    end: frame.offset + characters(frame.text).length,
  });
  return true;
}

// Offsets count whole characters; a string of JavaScript counts an emoji twice.
function characters(text) {
  return [...text];
}

function unfinished(kind) {
  const { text, start } = written[kind].get(shown) ?? nothing;
  return plain(start ? `… ${text}` : text);
}

function paint() {
  const node = document.querySelector("[data-delta]");
  if (!node) return;
  const text = unfinished("delta");
  if (node.textContent !== text) node.textContent = text;
  paintThought(unfinished("thinking"));
  grown("stream");
}

function paintThought(text) {
  const node = document.querySelector("[data-thinking]");
  node.hidden = !text;
  const [summary, words] = node.children;
  const length = (written.thinking.get(shown) ?? nothing).end;
  const label = `Thinking, ${length.toLocaleString("en")} characters`;
  if (summary.textContent !== label) summary.textContent = label;
  if (words.textContent !== text) words.textContent = text;
}

// A long thought is folded once it is a row, though not under somebody who reads it.
function keepOpen() {
  const node = document.querySelector("[data-thinking]");
  const row = [...document.querySelectorAll("#stream .stream > details[id]:not([data-thinking])")].at(-1);
  if (row && node?.open && !node.hidden && !following("stream")) row.open = true;
}

// Around one answer of the server: a message that is now a row is no longer being written.
export const painted = {
  begin: () => kinds.flatMap((kind) => [...settled[kind]].map((step) => [kind, step])),
  end(before) {
    for (const [kind, step] of before) {
      if (!settled[kind].delete(step)) continue;
      if (kind === "thinking" && step === shown) keepOpen();
      written[kind].delete(step);
    }
    if (!pane()) return;
    if (pane().dataset.step !== shown) {
      shown = pane().dataset.step;
      again("stream");
    }
    if (wanted === shown) wanted = "";
    paint();
  },
};

// The step to show, unless a person picked one.
export function followed() {
  return pane() && !pane().dataset.picked ? wanted || shown : "";
}

function look() {
  if (!pane() || pane().dataset.picked) return;
  const now = Date.now();
  if (now - (active.get(shown) ?? 0) < quiet) return;
  const busy = [...active].filter(([step, when]) => step !== shown && now - when < recent);
  if (!busy.length) return;
  wanted = busy.sort((a, b) => b[1] - a[1])[0][0];
  document.dispatchEvent(new CustomEvent("countersign:ask"));
}
