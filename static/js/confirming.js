// What is dangerous is confirmed by typing a label; the server asks for it too.

const fieldOf = (form) => form?.querySelector("[data-confirms]");
const isReview = (form) => form.id === "decision";

// Tells whether a label is to be typed in this form, and is not yet.
export function untyped(form) {
  const field = fieldOf(form);
  if (!field || isReworded(form)) return false;
  return field.value.trim().toLowerCase() !== field.dataset.confirms.toLowerCase();
}

// What is agreed to in words is shown first where it was changed since: that decides nothing.
function isReworded(form) {
  return Boolean(form.querySelector("[name=agreed]")) && [...form.elements].some(isChanged);
}

function isChanged(node) {
  if (node.matches("select")) {
    const first = [...node.options].findIndex((option) => option.defaultSelected);
    return node.selectedIndex !== Math.max(0, first);
  }
  return node.matches("input:not([data-confirms])") && node.value !== node.defaultValue;
}

// Goes to the field when nothing but its label is missing.
export function confirmFirst(form) {
  if (!untyped(form) || form.querySelector("[data-confirmed][data-missing]")) return false;
  const field = fieldOf(form);
  field.focus();
  field.select();
  return true;
}

export function startConfirming() {
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.matches?.("[data-confirms]")) return;
    // Enter alone would press the first button of the form, which may be another one.
    event.preventDefault();
    const { form } = event.target;
    // Where other arguments lie open, they are what is allowed.
    (form.querySelector("details[open] [data-confirmed]") ?? form.querySelector("[data-confirmed]"))?.click();
  });
  document.addEventListener("click", (event) => {
    const form = event.target.closest?.("[data-confirmed]")?.form;
    if (!form || !confirmFirst(form)) return;
    event.preventDefault();
    const { confirms } = fieldOf(form).dataset;
    const hint = form.querySelector("[data-refused]");
    hint.hidden = false;
    hint.textContent = `Type ${confirms} first. Nothing is ${isReview(form) ? "signed" : "allowed"} yet.`;
  });
  for (const kind of ["input", "change"]) document.addEventListener(kind, (event) => show(event.target.form));
  for (const field of document.querySelectorAll("[data-confirms]")) show(field.form);
}

// The review page says of its button what else may be missing.
function show(form) {
  if (!fieldOf(form) || isReview(form)) return;
  const missing = untyped(form);
  for (const button of form.querySelectorAll("[data-confirmed]")) button.setAttribute("aria-disabled", String(missing));
  if (!missing) form.querySelector("[data-refused]").hidden = true;
}
