// A stopped task: its button takes a person to the choices, wherever the evidence pushed them.
// Without this the button opens and closes the panel, as its summary does.

export function startChoices() {
  document.addEventListener("click", (event) => {
    const summary = event.target.closest?.("#asked > summary");
    const first = summary?.parentElement.querySelector(".answer input[type=radio]");
    if (!first) return;
    const panel = summary.parentElement;
    // A key presses the summary as a whole; with the choices in sight it may still close the panel.
    const byKey = event.detail === 0 && !(panel.open && inSight(first));
    if (!byKey && !event.target.closest("[data-choices]")) return;
    event.preventDefault();
    panel.open = true;
    const ways = first.closest("fieldset");
    ways.scrollIntoView({ block: "center" });
    (ways.querySelector(":checked") || first).focus({ preventScroll: true, focusVisible: true });
  });
}

function inSight(node) {
  const { top, bottom } = node.getBoundingClientRect();
  return top >= 0 && bottom <= innerHeight;
}
