// The list of kept conversations: tells Python which button was pressed. Deleting takes a second press.

element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-act]");
  if (!button) return;
  const row = button.closest("li"), id = row.dataset.id, act = button.dataset.act;
  const tell = (more) => trigger("select", { index: 0, value: { act, id, ...more } });
  if (act === "rename") return rename(row, id, (title) => tell({ title }));
  if (act === "link") return copyLink(id, button);
  if (act === "delete" && !button.classList.contains("gb-sure")) return askAgain(button);
  tell({});
  if (act === "open" && matchMedia("(max-width: 768px)").matches) fold();
});

// There the list covers the page, and with it the conversation that was opened.
function fold() {
  const toggle = document.querySelector("#library .toggle-button");
  toggle.click();
  toggle.focus();
}

// The fields in which titles are typed, by the conversations whose rows they are in.
const renaming = new Map();

// Pressed again, the button takes what was typed.
function rename(row, id, done) {
  if (renaming.has(id)) return renaming.get(id).commit();
  const field = document.createElement("input");
  let title = null;
  field.value = row.querySelector(".gb-title span").textContent;
  field.className = "gb-rename";
  field.setAttribute("aria-label", glassbox.say("New title"));
  const leave = () => { renaming.delete(id); field.replaceWith(title); title.focus(); };
  field.commit = () => { const name = field.value.trim(); leave(); if (name) done(name); };
  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (glassbox.isComposing(event)) return;
    if (event.key === "Enter") {
      event.preventDefault(); // of the press on the title, which has the focus by then
      field.commit();
    }
    if (event.key === "Escape") leave();
  });
  field.putInto = (place) => { title = place.querySelector(".gb-title"); title.replaceWith(field); };
  field.putInto(row);
  renaming.set(id, field);
  field.focus();
  field.select();
}

// A list that changes is drawn over them, in rows that are other conversations' by then.
let focused = null;
document.addEventListener("focusin", ({ target }) => { focused = target; });
watch("value", () => {
  for (const [id, field] of renaming) {
    const row = element.querySelector(`li[data-id="${CSS.escape(id)}"]`);
    if (row) field.putInto(row);
    else renaming.delete(id);
  }
  if (focused?.matches(".gb-rename") && document.activeElement === document.body) focused.focus();
});

function copyLink(id, button) {
  const link = `${location.origin}${location.pathname}?conversation=${encodeURIComponent(id)}`;
  glassbox.copy(link).then((isCopied) => tell(button, glassbox.toldOfCopy(isCopied)));
}

// Whoever listens hears the name of the button, which says more than its text.
function tell(button, text, name = text) {
  button.textContent = text;
  button.setAttribute("aria-label", name);
}

function askAgain(button) {
  const before = button.textContent, name = button.ariaLabel, sure = glassbox.say("Delete for good?");
  const title = button.closest("li").querySelector(".gb-title span").textContent;
  button.classList.add("gb-sure");
  tell(button, sure, `${sure} ${title}`);
  button.focus(); // Safari gives a button that is pressed no focus to lose
  button.onblur = () => {
    if (!button.classList.contains("gb-sure")) return; // the list changed, and it may be another conversation's
    button.classList.remove("gb-sure");
    tell(button, before, name);
  };
}
