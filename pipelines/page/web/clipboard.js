// Puts a text on the clipboard, and tells whether it is there. Where the page came over plain http, or the browser
// refuses the newer way, what is selected in a field can still be copied.
Object.assign(window.glassbox, (() => {
  function copySelected(text) {
    const focused = document.activeElement;
    const field = Object.assign(document.createElement("textarea"), { value: text, readOnly: true });
    field.style.cssText = "position: fixed; top: 0; opacity: 0";
    document.body.append(field);
    field.select();
    const isCopied = document.execCommand("copy");
    field.remove();
    focused?.focus({ preventScroll: true });
    return isCopied;
  }

  // What came of it, in the reader's language.
  async function copy(text) {
    const isCopied = await navigator.clipboard?.writeText(text).then(() => true, () => false);
    return glassbox.say(isCopied || copySelected(text) ? "Copied" : "Not copied");
  }

  return { copy };
})());
