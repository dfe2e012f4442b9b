// Puts words on the clipboard, those too that are only promised, and tells whether they are there. Safari lets a page
// write during a press alone, and takes what is promised by then. Where the page came over plain http, or the browser
// refuses the newer ways, what is selected in a field can still be copied.
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

  const TYPE = "text/plain";
  const asBlob = (text) => new Blob([text], { type: TYPE });
  const promise = async (text) => navigator.clipboard.write([new ClipboardItem({ [TYPE]: text.then(asBlob) })]);
  const write = async (text) => navigator.clipboard.writeText(await text);
  const isDone = (asked) => asked.then(() => true, () => false);

  async function copy(words) {
    const text = Promise.resolve(words);
    return await isDone(promise(text)) || await isDone(write(text)) || copySelected(await text);
  }

  // What came of it, in the reader's language.
  const toldOfCopy = (isCopied) => glassbox.say(isCopied ? "Copied" : "Not copied");

  return { copy, toldOfCopy };
})());
