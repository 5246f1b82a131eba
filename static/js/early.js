// Before the first paint: what needs JavaScript is shown only where it runs.
document.documentElement.classList.add("js");

// htmx begins by reading every attribute of a page and readying all that asks; a long review waits 0.1 s for
// that. What asks by itself is readied then, and a link or a form when it is pressed or sent.
document.addEventListener("htmx:before:process", (event) => {
  if (event.target !== document.body) return;
  event.preventDefault();
  for (const node of document.querySelectorAll("[hx-trigger]")) htmx.process(node);
});
for (const kind of ["click", "submit"]) {
  addEventListener(kind, (event) => globalThis.htmx?.process(event.target.closest?.("[hx-get], [hx-post]")), true);
}
