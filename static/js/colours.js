// Colours code by ranges: its text stays text, and a long review has a third fewer elements. Of what is near
// the screen alone: at each change of a page a browser goes through all ranges there are, so of a hunk that
// is near, a few lines at a time.

const kinds = [..."ksnfc"];
const colours = Object.fromEntries(kinds.map((kind) => [kind, globalThis.Highlight && new Highlight()]));
const forced = matchMedia("(forced-colors: active)"); // a range is drawn as if it were selected, then
const atATime = 8; // lines, each of one side
const pieces = new Map(); // the first of such lines, and all of them
const coloured = new Map(); // a line's code, and its ranges by kind

export function startColours() {
  if (!globalThis.CSS?.highlights) return;
  show();
  forced.addEventListener("change", show);
  const lines = observe(({ target, isIntersecting }) => {
    pieces.get(target)?.forEach(isIntersecting ? colour : forget);
  });
  const hunks = observe(({ target, isIntersecting }) => {
    const codes = [...target.querySelectorAll("code[data-c]")];
    for (let at = 0; at < codes.length; at += atATime) {
      if (isIntersecting) follow(lines, codes.slice(at, at + atATime));
      else leave(lines, codes[at]);
    }
  });
  const watch = () => {
    for (const first of pieces.keys()) if (!first.isConnected) leave(lines, first);
    for (const hunk of document.querySelectorAll("[data-hunk], [data-between]")) hunks.observe(hunk);
  };
  watch();
  document.addEventListener("htmx:after:swap", watch);
}

function show() {
  for (const kind of kinds) {
    if (forced.matches) CSS.highlights.delete(`syn-${kind}`);
    else CSS.highlights.set(`syn-${kind}`, colours[kind]);
  }
}

// Around what scrolls: on a wide screen the changes do, by themselves.
function observe(seen) {
  const pane = document.querySelector(".review-main");
  const root = pane && getComputedStyle(pane).overflowY !== "visible" ? pane : null;
  return new IntersectionObserver((entries) => entries.forEach(seen), { root, rootMargin: "100%" });
}

function follow(lines, codes) {
  if (pieces.has(codes[0])) return;
  pieces.set(codes[0], codes);
  lines.observe(codes[0]);
}

function leave(lines, first) {
  lines.unobserve(first);
  pieces.get(first)?.forEach(forget);
  pieces.delete(first);
}

function colour(code) {
  if (coloured.has(code)) return;
  const found = [...rangesOf(code)];
  for (const [kind, range] of found) colours[kind].add(range);
  coloured.set(code, found);
}

function forget(code) {
  for (const [kind, range] of coloured.get(code) || []) colours[kind].delete(range);
  coloured.delete(code);
}

// `k3-1f1` colours the first three letters and the fifth.
function* rangesOf(code) {
  const place = placesIn(code);
  let at = 0;
  for (const [, kind, length] of code.dataset.c.matchAll(/(\D)(\d+)/g)) {
    const start = place(at);
    at += Number(length);
    const end = place(at);
    if (!end) return;
    const [startContainer, startOffset, endContainer, endOffset] = [...start, ...end];
    if (kind !== "-") yield [kind, new StaticRange({ startContainer, startOffset, endContainer, endOffset })];
  }
}

// Offsets are asked for in order.
function placesIn(code) {
  const texts = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
  let [node, before] = [texts.nextNode(), 0];
  return (offset) => {
    while (node && before + node.length < offset) {
      before += node.length;
      node = texts.nextNode();
    }
    return node && [node, offset - before];
  };
}
