// Tells which word is pointed at, once the pointer rests on it: where the model looked is asked of the server.
const RESTS_MS = 120;
let resting = null;
let shown = null;

function rest(event) {
  const word = event.target.closest?.("[data-tokens]");
  clearTimeout(resting);
  if (!word || word === shown) return;
  resting = setTimeout(() => {
    shown?.classList.remove("gb-asked");
    shown = word;
    word.classList.add("gb-asked");
    trigger("select", { index: word.dataset.tokens, value: "" });
  }, RESTS_MS);
}

for (const kind of ["pointerover", "click"]) element.addEventListener(kind, rest);
element.addEventListener("pointerleave", () => clearTimeout(resting));
