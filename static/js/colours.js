// Colours code by ranges: its text stays text, and a long review has a third fewer elements. Of what is near
// the screen alone: at each change of a page a browser goes through all ranges there are.

const kinds = [..."ksnfc"];
const parts = "[data-hunk], [data-between], [data-around]";
const coloured = new Map(); // a line's code, and its ranges by kind

export function startColours() {
  if (!globalThis.CSS?.highlights) return;
  for (const kind of kinds) CSS.highlights.set(`syn-${kind}`, new Highlight());
  const near = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) {
      target.querySelectorAll("code[data-c]").forEach(isIntersecting ? colour : forget);
    }
  }, { rootMargin: "50%" });
  const watch = () => {
    for (const code of coloured.keys()) if (!code.isConnected) forget(code);
    for (const part of document.querySelectorAll(parts)) near.observe(part);
  };
  watch();
  document.addEventListener("htmx:after:swap", watch);
}

function colour(code) {
  if (coloured.has(code)) return;
  const found = [...rangesOf(code)];
  for (const [kind, range] of found) CSS.highlights.get(`syn-${kind}`).add(range);
  coloured.set(code, found);
}

function forget(code) {
  for (const [kind, range] of coloured.get(code) || []) CSS.highlights.get(`syn-${kind}`).delete(range);
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
