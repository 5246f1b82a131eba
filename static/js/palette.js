// The palette: pages and tasks by a few letters. Without JavaScript the same search is a page.

export function startPalette() {
  const dialog = document.getElementById("palette");
  if (!dialog) return;
  const input = dialog.querySelector("input");
  const open = () => {
    if (dialog.open) return;
    dialog.showModal();
    input.select();
    htmx.ajax("GET", input.getAttribute("hx-get"), { target: "#palette-list", swap: "outerHTML" });
  };
  document.addEventListener("countersign:palette", open);
  document.querySelector("[data-palette]")?.addEventListener("click", (event) => {
    event.preventDefault();
    open();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("keydown", (event) => {
    const links = [...dialog.querySelectorAll("#palette-list a")];
    const at = links.findIndex((link) => link.classList.contains("at"));
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const next = (at + (event.key === "ArrowDown" ? 1 : -1) + links.length) % links.length;
      links[at]?.classList.remove("at");
      links[next]?.classList.add("at");
      links[next]?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter") {
      event.preventDefault();
      (links[at] || links[0])?.click();
    }
  });
}
