// The copy button of an answer. Gradio's own copies what the page made of it, so what the model wrote is asked of the
// server; `glassbox.copied` is called with it.
const SHOWN_MS = 2000;
let pressed = null;

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("#chat .bot-row .message-buttons-left button");
  if (!button?.querySelector('svg[viewBox="0 0 33 33"]')) return;
  const before = Node.DOCUMENT_POSITION_PRECEDING;
  const asked = [...document.querySelectorAll("#chat .user-row")]
    .filter((row) => button.compareDocumentPosition(row) & before);
  event.preventDefault();
  event.stopPropagation();
  pressed = button;
  trigger("select", { index: asked.length - 1, value: "" });
}, true);

glassbox.copied = async (text) => {
  const button = pressed;
  if (!button || !text) return;
  const title = button.dataset.title ??= button.title, told = await glassbox.copy(text);
  const tell = (words) => { button.title = button.ariaLabel = words; };
  button.classList.add("gb-copied");
  tell(told);
  setTimeout(() => { button.classList.remove("gb-copied"); tell(title); }, SHOWN_MS);
};
