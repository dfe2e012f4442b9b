// A drag over the picture, over a frame or over the timeline marks the part that the next question is about, and so do
// arrow keys. Places are told in 0 to 1000 of the whole picture, however far it is zoomed in, and times in seconds.

const LEAST_DRAG_PX = 6;
const STEP = 0.02;
let drag = null;
let wasDragged = false;

const share = (value, start, size) => Math.min(Math.max((value - start) / size, 0), 1);

// A finger scrolls, unless the page was told that it marks.
function surfaceAt(event) {
  const surface = event.target.closest?.("#evidence .gb-figure .gb-stage, #evidence .gb-timeline");
  const isFree = event.pointerType !== "touch" || surface?.closest(".gb-marking, .gb-timeline");
  return event.button === 0 && isFree ? surface : null;
}

function marked(event) {
  const frame = drag.surface.getBoundingClientRect();
  const xs = [drag.x, event.clientX].map((x) => share(x, frame.x, frame.width)).sort((a, b) => a - b);
  const ys = [drag.y, event.clientY].map((y) => share(y, frame.y, frame.height)).sort((a, b) => a - b);
  return { xs, ys };
}

function show(surface, { xs, ys }) {
  if (surface.matches(".gb-timeline")) {
    const band = surface.querySelector(".gb-chosen");
    band.setAttribute("x", `${100 * xs[0]}%`);
    band.setAttribute("width", `${100 * (xs[1] - xs[0])}%`);
    return;
  }
  const band = surface.querySelector(".gb-band")
    ?? surface.appendChild(Object.assign(document.createElement("div"), { className: "gb-band" }));
  band.style.cssText = `left: ${100 * xs[0]}%; top: ${100 * ys[0]}%; width: ${100 * (xs[1] - xs[0])}%;`
    + ` height: ${100 * (ys[1] - ys[0])}%`;
}

function clearBands() {
  for (const band of document.querySelectorAll(".gb-band")) band.remove();
  for (const band of document.querySelectorAll(".gb-chosen")) band.setAttribute("width", "0");
}

const spanOf = (surface, xs) => xs.map((x) => x * Number(surface.dataset.length));

function take(surface, { xs, ys }) {
  const medium = Number(surface.closest("section").dataset.medium);
  const time = surface.closest("[data-time]")?.dataset.time;
  glassbox.part = surface.matches(".gb-timeline")
    ? { medium, span: spanOf(surface, xs) }
    : { medium, box: [xs[0], ys[0], xs[1], ys[1]].map((side) => 1000 * side), time_s: time && Number(time) };
  trigger("select");
}

function end(event) {
  if (event.pointerId !== drag?.pointerId) return;
  const { surface } = drag, part = marked(event);
  drag = null;
  if (wasDragged && event.type === "pointerup" && surface.isConnected) take(surface, part);
  else if (wasDragged) clearBands();
  setTimeout(() => { wasDragged = false; });  // no click follows the drag of a finger
}

// Half of what is seen of the surface, in its middle.
function middle(surface) {
  const whole = surface.getBoundingClientRect();
  const seen = (surface.closest(".gb-canvas") ?? surface).getBoundingClientRect();
  const part = (start, size, from, of) => [0.25, 0.75].map((at) => share(start + at * size, from, of));
  return { xs: part(seen.x, seen.width, whole.x, whole.width), ys: part(seen.y, seen.height, whole.y, whole.height) };
}

function moved([low, high], step, isResized) {
  if (isResized) return [low, Math.min(Math.max(high + step, low + STEP), 1)];
  const by = Math.min(Math.max(step, -low), 1 - high);
  return [low + by, high + by];
}

function told(surface, { xs, ys }) {
  if (surface.matches(".gb-timeline")) return `${spanOf(surface, xs).map((time) => time.toFixed(1)).join(" – ")} s`;
  const [l, r, t, b] = [...xs, ...ys].map((side) => Math.round(100 * side));
  return glassbox.say("{l} to {r} percent across, {t} to {b} percent down", { l, r, t, b });
}

// What holds the focus while keys mark a part: it says how, and beside it stands for listeners where the part is.
function markByKeys(button) {
  const section = button.closest("section");
  const surface = section.querySelector(".gb-timeline") ?? section.querySelector(".gb-stage");
  const keys = document.createElement("span"), place = document.createElement("span");
  let part = middle(surface);
  const draw = () => { show(surface, part); place.textContent = told(surface, part); };
  const blurred = () => queueMicrotask(leave);  // once whoever takes the keys off the page is done
  const leave = () => {
    keys.removeEventListener("blur", blurred);
    for (const shown of [keys, place]) shown.remove();
    clearBands();
  };
  Object.assign(keys, { className: "gb-by-keys", tabIndex: 0, role: "application" });
  keys.ariaLabel = keys.textContent = glassbox.say(
    "Arrows move the part, with Shift they resize it. Enter takes it, Escape leaves it.");
  Object.assign(place, { className: "gb-spoken", role: "status" });
  keys.addEventListener("blur", blurred);
  keys.addEventListener("keydown", (event) => {
    const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [];
    if (event.defaultPrevented || (x === undefined && !["Enter", "Escape"].includes(event.key))) return;
    event.preventDefault();
    if (x !== undefined) {
      part = { xs: moved(part.xs, x * STEP, event.shiftKey), ys: moved(part.ys, y * STEP, event.shiftKey) };
      return draw();
    }
    if (event.repeat) return;  // of the press that began it
    leave();
    button.focus();
    if (event.key === "Escape") return;
    show(surface, part);
    take(surface, part);
    glassbox.compose();
  });
  button.after(keys, place);
  surface.scrollIntoView({ block: "nearest" });
  keys.focus();
  draw();
}

document.addEventListener("pointerdown", (event) => {
  const surface = event.isPrimary ? surfaceAt(event) : null;
  if (surface || drag) clearBands();  // a second finger ends what the first one marked
  wasDragged = false;
  drag = surface && { surface, pointerId: event.pointerId, x: event.clientX, y: event.clientY };
});
document.addEventListener("pointermove", (event) => {
  if (event.pointerId !== drag?.pointerId) return;
  wasDragged ||= Math.hypot(event.clientX - drag.x, event.clientY - drag.y) >= LEAST_DRAG_PX;
  if (wasDragged) show(drag.surface, marked(event));
});
// A drag that leaves the picture would select the words beside it, in Safari whatever the picture's style forbids.
document.addEventListener("selectstart", (event) => { if (drag) event.preventDefault(); });
document.addEventListener("pointerup", end);
document.addEventListener("pointercancel", end);
document.addEventListener("click", (event) => {
  if (wasDragged) event.stopPropagation();  // what ended a drag is no click
  wasDragged = false;
  const button = event.target.closest?.("#evidence .gb-mark-part");
  if (button && event.detail === 0) markByKeys(button);  // pressed by a key
  else if (button) button.setAttribute("aria-pressed", button.closest("section").classList.toggle("gb-marking"));
}, true);
element.addEventListener("click", (event) => {
  if (!event.target.closest("button")) return;
  clearBands();
  trigger("click");
});
watch("value", () => { if (!props.value) clearBands(); });
