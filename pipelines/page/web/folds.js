// What was opened or closed by hand in the replies of two models stays so, while both are drawn anew with each step.
const chosen = new Map();
const folds = () => [...element.querySelectorAll(".gb-side")].flatMap((side, at) => {
  return [...side.querySelectorAll("details")].map((fold, number) => [`${at} ${number}`, fold]);
});

element.addEventListener("click", ({ target }) => {
  const pressed = target.closest("summary")?.parentElement;
  for (const [place, fold] of folds()) if (fold === pressed) chosen.set(place, !fold.open); // it turns after this
});
watch("value", () => {
  const now = folds();
  if (!now.length) chosen.clear(); // another question
  for (const [place, fold] of now) fold.open = chosen.get(place) ?? fold.open;
});
