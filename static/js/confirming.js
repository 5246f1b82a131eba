// What is dangerous is confirmed by typing a label; the server asks for it too.

const fieldOf = (form) => form?.querySelector("[data-confirms]");

// Tells whether a label is to be typed in this form, and is not yet.
export function untyped(form) {
  const field = fieldOf(form);
  return Boolean(field) && field.value.trim().toLowerCase() !== field.dataset.confirms.toLowerCase();
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
    // Enter alone would press the first button of the form, which is another one.
    event.preventDefault();
    event.target.form.querySelector("[data-confirmed]")?.click();
  });
  document.addEventListener("click", (event) => {
    const form = event.target.closest?.("[data-confirmed]")?.form;
    if (!form || !confirmFirst(form)) return;
    event.preventDefault();
    const { confirms } = fieldOf(form).dataset;
    const hint = form.querySelector("[data-refused]");
    hint.hidden = false;
    hint.textContent = `Type ${confirms} first. Nothing is signed yet.`;
  });
  document.addEventListener("input", (event) => event.target.matches?.("[data-confirms]") && show(event.target.form));
  for (const field of document.querySelectorAll("[data-confirms]")) show(field.form);
}

// The review page says of its button what else may be missing.
function show(form) {
  const button = form.querySelector("[data-confirmed]");
  if (form.id !== "decision") button?.setAttribute("aria-disabled", String(untyped(form)));
}
