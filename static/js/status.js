// What the page says of itself: the connection, and one line for screen readers.

const calm = 10000; // between two sentences

export function show(name, word, since = Date.now()) {
  for (const node of document.querySelectorAll("[data-connection]")) {
    node.dataset.connection = name;
    const said = node.querySelector("[data-connection-word]");
    if (said.textContent !== word) said.textContent = word;
  }
  const bar = document.querySelector("[data-offline]");
  if (!bar) return;
  const away = name === "offline";
  // A decision on a page that may be old would be refused anyway; what was typed stays.
  for (const button of document.querySelectorAll("[data-decide]")) button.disabled = away;
  if (bar.dataset.offline === name) return;
  bar.dataset.offline = name;
  bar.hidden = name === "live";
  if (!away) {
    bar.textContent = word;
    return;
  }
  const clock = new Date(since || Date.now()).toTimeString().slice(0, 8);
  const first = word === "Offline" ? "" : `${word}. `;
  bar.textContent = `${first}Showing state from ${clock}. Decisions are paused.`;
  say("status-line", bar.textContent);
}

let spoken = 0;
let speaking = 0;
let called = document.querySelector("[data-word]")?.dataset.call || "";

export function speak() {
  call();
  const wait = calm - (Date.now() - spoken);
  if (wait > 0) {
    // The last sentence is never lost.
    speaking ||= setTimeout(() => {
      speaking = 0;
      speak();
    }, wait);
    return;
  }
  if (say("status-line", document.querySelector("[data-word]")?.dataset.word)) spoken = Date.now();
}

// What waits for a person, and the end, are said at once, each once.
function call() {
  const now = document.querySelector("[data-word]")?.dataset.call || "";
  if (now === called) return;
  called = now;
  say("call-line", now);
}

function say(id, sentence) {
  const line = document.getElementById(id);
  if (!line || !sentence || line.textContent === sentence) return false;
  line.textContent = sentence;
  return true;
}
