// Clocks that tick between two answers of the server: time used, time left, time since.

const two = (number) => String(number).padStart(2, "0");

export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

function left(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.ceil(seconds))} s`;
  return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
}

const over = new Set(); // ends that were told of, whatever shows them again

function tick() {
  const now = Date.now();
  for (const node of document.querySelectorAll("[data-since]")) {
    node.textContent = clock((now - Date.parse(node.dataset.since)) / 1000);
  }
  for (const node of document.querySelectorAll("[data-until]")) {
    const seconds = (Date.parse(node.dataset.until) - now) / 1000;
    const word = node.dataset.untilWord ? `${node.dataset.untilWord} ` : "";
    if (seconds <= 0) node.closest("[data-toast]")?.remove();
    node.textContent = seconds > 0 ? word + left(seconds) : word ? "the time is over" : "a moment";
    if (seconds <= -1.5 && !over.has(node.dataset.until)) {
      over.add(node.dataset.until);
      document.dispatchEvent(new CustomEvent("countersign:due"));
    }
  }
}

export function startClocks() {
  tick();
  setInterval(tick, 500);
  document.addEventListener("htmx:after:swap", tick); // what came says a time, not what is left
}
