// What a reviewer typed survives a reload or a lost connection; it is dropped when it was sent.

const prefix = "countersign:draft:";

export function startDrafts() {
  const form = document.querySelector("form[data-draft]");
  if (!form) return;
  const key = prefix + form.dataset.draft;
  restore(form, key);
  const keep = () => {
    const typed = {};
    for (const field of form.elements) {
      if (!field.name || field.type === "hidden" || field.type === "submit") continue;
      if (field.type === "radio" || field.type === "checkbox") {
        if (field.checked) typed[field.name] = field.value;
      } else if (field.value) {
        typed[field.name] = field.value;
      }
    }
    try {
      if (Object.keys(typed).length) localStorage.setItem(key, JSON.stringify(typed));
      else localStorage.removeItem(key);
    } catch {
      // A full or forbidden store costs the draft, not the page.
    }
  };
  document.addEventListener("input", (event) => event.target.form === form && keep());
  document.addEventListener("change", (event) => event.target.form === form && keep());
  form.addEventListener("submit", () => localStorage.removeItem(key));
}

function restore(form, key) {
  let typed;
  try {
    typed = JSON.parse(localStorage.getItem(key) || "null");
  } catch {
    return;
  }
  if (!typed) return;
  for (const field of form.elements) {
    if (!(field.name in typed) || field.type === "hidden") continue;
    if (field.type === "radio" || field.type === "checkbox") field.checked = field.value === typed[field.name];
    else if (!field.value) field.value = typed[field.name];
    const fold = field.closest("details");
    if (fold && field.type !== "radio") fold.open = true;
  }
}
