// Lists: j and k move, Enter and o open.

import { looking } from "./look.js";

export function startLists() {
  document.addEventListener("countersign:key", (event) => {
    const { key } = event.detail;
    if (!["j", "k", "o", "Enter", "."].includes(key)) return;
    const rows = [...document.querySelectorAll("[data-rows] [data-row]")];
    if (!rows.length) return;
    if (key === "Enter" && document.activeElement !== document.body) return; // It opens what has the focus.
    event.detail.done = true;
    if (key === ".") {
      document.querySelector("#inbox-news a")?.click();
      return;
    }
    const at = rows.indexOf(document.activeElement);
    if (key === "o" || key === "Enter") {
      (rows[at] || shown(rows))?.click();
      return;
    }
    const next = at < 0 ? current(rows) : Math.min(rows.length - 1, Math.max(0, at + (key === "j" ? 1 : -1)));
    rows[next].focus();
    rows[next].scrollIntoView({ block: "nearest" });
  });
}

// The row that the look beside the list shows, when no control has the focus.
function shown(rows) {
  const free = document.activeElement === document.body;
  return free && looking() && rows.find((row) => row.closest("li")?.classList.contains("at"));
}

function current(rows) {
  return Math.max(0, rows.findIndex((row) => row.closest("li")?.classList.contains("at")));
}
