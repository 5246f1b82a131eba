// The live pane of one agent: deltas are appended here, finished messages come from the server.
// It follows the end only while the reader is at the end.

const near = 40;
let following = true;

const pane = () => document.querySelector("[data-stream]");

export function startStream() {
  if (!pane()) return;
  document.addEventListener("scroll", watch, { capture: true, passive: true });
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-follow]")) follow(!following);
  });
  document.addEventListener("countersign:key", (event) => {
    if (event.detail.key === "f") {
      follow(!following);
      event.detail.done = true;
    } else if (event.detail.key === "l") {
      const graph = document.querySelector(".graph");
      const next = graph?.dataset.view === "list" ? "graph" : "list";
      document.querySelector(`a[data-view="${next}"]`)?.click();
      event.detail.done = true;
    }
  });
  end();
}

function watch(event) {
  const box = pane();
  if (event.target !== box) return;
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < near;
  if (atEnd !== following) follow(atEnd, true);
}

function follow(wanted, byScroll = false) {
  following = wanted;
  label();
  if (wanted && !byScroll) end();
}

function label() {
  const button = document.querySelector("[data-follow]");
  if (!button) return;
  button.setAttribute("aria-pressed", String(following));
  button.textContent = following ? "Following" : "Jump to the end";
}

export function end() {
  const box = pane();
  label();
  if (box && following) box.scrollTop = box.scrollHeight;
}

export function focusStep() {
  return document.getElementById("stream")?.dataset.step || "";
}

export function append(frame) {
  if (frame.step !== focusStep()) return;
  const node = document.querySelector("[data-delta]");
  if (!node) return;
  const text = frame.offset === 0 ? "" : node.textContent;
  // A gap means frames were missed: wait for the finished message rather than show half of it.
  if (frame.offset > text.length) return;
  node.textContent = text.slice(0, frame.offset) + frame.text;
  end();
}

export function finished(step) {
  if (step && step !== focusStep()) return;
  const node = document.querySelector("[data-delta]");
  if (node) node.textContent = "";
}
