// A tab, an agent, a round or a view is picked without leaving the page; the address says which.

export function startPicks() {
  if (!document.body.dataset.seq) return;
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-pick]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    history.pushState(null, "", link.href);
    pick();
  });
  addEventListener("popstate", pick);
}

function pick() {
  const live = new URL(document.body.dataset.live, location.href);
  document.body.dataset.live = live.pathname + location.search;
  document.dispatchEvent(new CustomEvent("countersign:pick"));
}
