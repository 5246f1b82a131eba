// What a reviewer typed survives a reload or a lost connection; it is dropped when it was sent.

const prefix = "countersign:draft:";

export function startDrafts() {
  for (const node of document.querySelectorAll("[data-draft-done]")) drop(node.dataset.draftDone);
  for (const form of document.querySelectorAll("form[data-draft]")) restore(form);
  for (const name of ["input", "change"]) {
    document.addEventListener(name, (event) => event.target.form?.dataset.draft && keep(event.target.form));
  }
  document.addEventListener("submit", (event) => {
    // A decision may be refused, as main has moved: what it said is kept until the page says it counts.
    if (event.target.dataset.draftUntil) return;
    if (event.target.dataset.draft) drop(event.target.dataset.draft);
  });
}

function drop(name) {
  try {
    localStorage.removeItem(prefix + name);
  } catch {
    // A forbidden store holds none.
  }
}

// A hunk keeps what was typed on it in the next version too, while its lines are the same.
const nameOf = (field) => field.dataset.kept || field.name;

// What confirms a decision is typed each time: kept, it would be typed already when it is asked for.
const isAnew = (field) => "anew" in field.dataset;

function keep(form) {
  const typed = {};
  for (const field of form.elements) {
    if (!field.name || field.type === "hidden" || field.type === "submit" || isAnew(field)) continue;
    if (field.type === "radio" || field.type === "checkbox") {
      if (field.checked) typed[nameOf(field)] = field.value;
    } else if (field.value) {
      typed[nameOf(field)] = field.value;
    }
  }
  try {
    if (Object.keys(typed).length) localStorage.setItem(prefix + form.dataset.draft, JSON.stringify(typed));
    else localStorage.removeItem(prefix + form.dataset.draft);
  } catch {
    // A full or forbidden store costs the draft, not the page.
  }
}

// A draft of another version may name an agent who took no part in this one.
const offers = (field, value) => !field.options || [...field.options].some((option) => option.value === value);

function restore(form) {
  let typed;
  try {
    typed = JSON.parse(localStorage.getItem(prefix + form.dataset.draft) || "null");
  } catch {
    return;
  }
  if (!typed) return;
  for (const field of form.elements) {
    const name = nameOf(field);
    if (!(name in typed) || field.type === "hidden" || isAnew(field)) continue;
    if (field.type === "radio" || field.type === "checkbox") field.checked = field.value === typed[name];
    else if (!field.value && offers(field, typed[name])) field.value = typed[name];
    const fold = field.closest("details:not(.pop)");
    if (fold && field.type !== "radio") fold.open = true;
  }
}
