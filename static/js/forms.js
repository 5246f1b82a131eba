// Small comforts of forms; each works without them too.

export function startForms() {
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    const form = event.target.closest?.("form[data-submit-keys]");
    if (form) form.requestSubmit();
  });
  document.addEventListener("click", (event) => {
    const fill = event.target.closest?.("[data-fill]");
    if (!fill) return;
    const text = document.getElementById("request");
    if (!text) return;
    event.preventDefault();
    text.value = fill.dataset.fill;
    text.focus();
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || form.hasAttribute("hx-post")) return;
    // A second press while the answer is on its way would be a second act.
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "1";
    setTimeout(() => delete form.dataset.sent, 8000);
  });
  document.querySelector("[data-theme-switch]")?.addEventListener("click", switchTheme);
  document.querySelector("[data-focus]")?.focus();
  document.addEventListener("click", closePops);
}

function switchTheme(event) {
  event.preventDefault();
  const root = document.documentElement;
  const shown = root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const theme = shown === "dark" ? "light" : "dark";
  root.dataset.theme = theme;
  const form = event.currentTarget.form;
  const body = new FormData(form);
  body.set("theme", theme);
  fetch(form.action, { method: "POST", body, headers: { "HX-Request": "true" } }).catch(() => {});
}

function closePops(event) {
  for (const pop of document.querySelectorAll("details.pop[open]")) {
    if (!pop.contains(event.target)) pop.open = false;
  }
}
