// Tells which word is pointed at, once the pointer or the focus rests on it: where the model looked is asked of the
// server. Arrows walk the words. What it looked at is shown beside the answer of the server too, small, where the picture
// is scrolled out of sight.
const RESTS_MS = 120;
const ASKED = "gb-asked"; // a class, which the framework takes away as it puts another answer into the same elements
let resting = null;

function rest(event) {
  const word = event.target.closest?.("[data-tokens]");
  clearTimeout(resting);
  if (!word || word.classList.contains(ASKED)) return;
  resting = setTimeout(() => {
    element.querySelector(`.${ASKED}`)?.classList.remove(ASKED);
    word.classList.add(ASKED);
    glassbox.word = word.dataset.tokens;
    trigger("select");
  }, RESTS_MS);
}

function isSeen(canvas) {
  const { top, bottom, height } = canvas.getBoundingClientRect();
  const pane = document.querySelector("#evidence-pane").getBoundingClientRect();
  return Math.min(bottom, pane.bottom, innerHeight) - Math.max(top, pane.top, 0) > height / 2;
}

function copyUnseen() {
  const copy = document.querySelector("#heat .gb-copy:empty");
  const canvas = copy && document.querySelector(copy.dataset.of)?.closest(".gb-canvas");
  if (!canvas || isSeen(canvas)) return;
  const made = (name, className) => Object.assign(document.createElement(name), { className });
  const figure = made("figure", "gb-frame"), frame = made("div", "gb-canvas"), stage = made("div", "gb-stage");
  frame.style.cssText = canvas.style.cssText;
  stage.append(canvas.querySelector("img").cloneNode());
  frame.append(stage);
  figure.append(frame);
  copy.append(figure);
}

new MutationObserver(copyUnseen).observe(document.querySelector("#heat"), { subtree: true, childList: true, characterData: true });
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
