// Tells which word is pointed at, once the pointer or the focus rests on it: where the model looked is asked of the
// server. Arrows walk the words.
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

for (const kind of ["pointerover", "click", "focusin"]) element.addEventListener(kind, rest);
element.addEventListener("pointerleave", () => clearTimeout(resting));
element.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const words = step ? [...element.querySelectorAll("[data-tokens]")] : [];
  const next = words.includes(event.target) && words[words.indexOf(event.target) + step];
  if (!next) return;
  event.preventDefault();
  event.target.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
});
