// The palette: pages and tasks by a few letters. Without JavaScript the same search is a page.

export function startPalette() {
  const dialog = document.getElementById("palette");
  if (!dialog) return;
  const input = dialog.querySelector("input");
  const found = { asked: "", listed: null, follow: false };
  const links = () => [...dialog.querySelectorAll("#palette-list a")];
  const at = () => links().findIndex((link) => link.classList.contains("at"));
  const ask = () =>
    htmx.ajax("GET", input.getAttribute("hx-get"), { source: input, target: "#palette-list", swap: "outerHTML" });
  const open = () => {
    if (dialog.open) return;
    dialog.showModal();
    input.select();
    ask();
  };
  document.addEventListener("countersign:palette", open);
  document.querySelector("[data-palette]")?.addEventListener("click", (event) => {
    event.preventDefault();
    open();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => (found.follow = false));
  input.addEventListener("input", () => {
    found.follow = false;
    links()[at()]?.classList.remove("at");
  });
  input.addEventListener("htmx:before:request", () => (found.asked = input.value));
  // A newer request ends an older one, so what comes is what was asked for last.
  dialog.addEventListener("htmx:after:swap", () => {
    found.listed = found.asked;
    if (found.follow) links()[0]?.click();
  });
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      step(links(), at(), event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (at() >= 0 || found.listed === input.value) links()[Math.max(0, at())]?.click();
      else {
        found.follow = true; // once the list is of what was typed
        ask();
      }
    }
  });
}

function step(links, at, way) {
  const next = (at + way + links.length) % links.length;
  links[at]?.classList.remove("at");
  links[next]?.classList.add("at");
  links[next]?.scrollIntoView({ block: "nearest" });
}
