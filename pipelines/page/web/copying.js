// The copy button of an answer. Gradio's own copies what the page made of it, so what the model wrote is asked of the
// server; `glassbox.copied` is called with it, in the order of the presses.
const SHOWN_MS = 2000;
const pressed = [];

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("#chat .bot-row .message-buttons-left button");
  if (!button?.querySelector('svg[viewBox="0 0 33 33"]')) return;
  const before = Node.DOCUMENT_POSITION_PRECEDING;
  const asked = [...document.querySelectorAll("#chat .user-row")]
    .filter((row) => button.compareDocumentPosition(row) & before);
  event.preventDefault();
  event.stopPropagation();
  const words = new Promise((resolve) => { pressed.push(resolve); });
  glassbox.copy(words).then((isCopied) => show(button, isCopied));
  trigger("select", { index: asked.length - 1, value: "" });
}, true);

glassbox.copied = (text) => {
  const give = pressed.shift();
  if (text) give?.(text);
};

function show(button, isCopied) {
  const title = button.dataset.title ??= button.title;
  const tell = (words) => { button.title = button.ariaLabel = words; };
  button.dataset.copied = isCopied;
  tell(glassbox.toldOfCopy(isCopied));
  setTimeout(() => { delete button.dataset.copied; tell(title); }, SHOWN_MS);
}
