// Where the chat stands: what its framework scrolls, and a person does not want scrolled. Runs before the page is built.
(() => {
  const LOG = "#chat [role=log]";
  const AT_END_PX = 4, HAND_MS = 500;
  let isReading = false; // a person has scrolled up, and what comes meanwhile leaves them there
  let handAt = -Infinity; // when a hand last moved what is shown, which a busy page sees only later
  let before = { top: 0, height: 0 };

  // The framework scrolls to the end of what it shows, past the first of the cards to start from.
  const MOVES = ["wheel", "touchmove", "pointerdown", "keydown"];
  const cards = (list) => list?.querySelector(".examples");
  const TO_END = "#chat .scroll-down-button-container"; // stands beside what it scrolls
  const moved = ({ target, type }) => {
    const found = target.closest?.(`${LOG}, ${TO_END}`) && cards(document.querySelector(LOG));
    if (found) found.dataset.moved = "";
    if (type !== "pointerdown" && target.closest?.(LOG)) handAt = performance.now();
  };
  MOVES.forEach((move) => document.addEventListener(move, moved, { capture: true, passive: true }));

  // It goes there a third of a second after each piece of an answer, though nobody is at the end any more by then.
  function hold(log) {
    if (Object.hasOwn(log, "scrollTo")) return;
    log.scrollTo = (...place) => {
      const ms = handAt + HAND_MS - performance.now();
      // it hides its button to the end with a scroll
      if (isReading) queueMicrotask(() => log.dispatchEvent(new Event("scroll")));
      else if (ms > 0) setTimeout(() => log.scrollTo(...place), ms);
      else Element.prototype.scrollTo.apply(log, place);
    };
  }

  function read(log) {
    const { scrollTop: top, scrollHeight: height } = log;
    if (height - top - log.clientHeight <= AT_END_PX) isReading = false;
    else if (top < before.top && height >= before.height) isReading = true; // else a thought was folded
    before = { top, height };
  }

  document.addEventListener("scroll", ({ target }) => {
    if (!target.matches?.(LOG)) return;
    const found = cards(target);
    hold(target);
    if (!found) read(target);
    else if (!("moved" in found.dataset)) target.scrollTop = 0;
  }, { capture: true, passive: true });

  document.addEventListener("click", ({ target }) => {
    if (target.closest?.(TO_END)) isReading = false;
  }, true);

  glassbox.toEnd = () => { isReading = false; };
})();
