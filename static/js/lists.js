// Lists: j and k move, Enter opens, and where there is room a look beside the list follows.

let peeking;

export function startLists() {
  document.addEventListener("countersign:key", (event) => {
    const { key } = event.detail;
    if (!["j", "k", "o", "."].includes(key)) return;
    const rows = [...document.querySelectorAll("[data-rows] [data-row]")];
    if (!rows.length) return;
    event.detail.done = true;
    if (key === ".") {
      document.querySelector("#inbox-news a")?.click();
      return;
    }
    const at = rows.indexOf(document.activeElement);
    if (key === "o") {
      rows[at]?.click();
      return;
    }
    const next = at < 0 ? current(rows) : Math.min(rows.length - 1, Math.max(0, at + (key === "j" ? 1 : -1)));
    rows[next].focus();
    rows[next].scrollIntoView({ block: "nearest" });
  });
  document.addEventListener("focusin", (event) => {
    const row = event.target.closest?.("[data-peek] [data-peek-url]");
    if (row) peek(row);
  });
}

function current(rows) {
  return Math.max(0, rows.findIndex((row) => row.closest("li")?.classList.contains("at")));
}

function peek(row) {
  const place = document.getElementById("peek");
  if (!place || getComputedStyle(place).display === "none") return;
  for (const other of document.querySelectorAll("[data-peek] li.at")) other.classList.remove("at");
  row.closest("li").classList.add("at");
  clearTimeout(peeking);
  peeking = setTimeout(() => {
    const url = location.pathname + row.dataset.peekUrl;
    history.replaceState(history.state, "", url);
    htmx.ajax("GET", url, { target: "#peek", swap: "innerHTML", select: "#peek > *" });
  }, 90);
}
