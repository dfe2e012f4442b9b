// A drag over the picture, over a frame or over the timeline marks the part that the next question is about. Places are
// told in 0 to 1000 of the whole picture, however far it is zoomed in, and times in seconds.

const LEAST_DRAG_PX = 6;
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

function show({ xs, ys }) {
  if (drag.surface.matches(".gb-timeline")) {
    const band = drag.surface.querySelector(".gb-chosen");
    band.setAttribute("x", `${100 * xs[0]}%`);
    band.setAttribute("width", `${100 * (xs[1] - xs[0])}%`);
    return;
  }
  drag.band ??= drag.surface.appendChild(Object.assign(document.createElement("div"), { className: "gb-band" }));
  drag.band.style.cssText = `left: ${100 * xs[0]}%; top: ${100 * ys[0]}%; width: ${100 * (xs[1] - xs[0])}%;`
    + ` height: ${100 * (ys[1] - ys[0])}%`;
}

function clearBands() {
  for (const band of document.querySelectorAll(".gb-band")) band.remove();
  for (const band of document.querySelectorAll(".gb-chosen")) band.setAttribute("width", "0");
}

function end(event) {
  if (!drag) return;
  const { surface } = drag;
  if (wasDragged && event.type === "pointerup") {
    const { xs, ys } = marked(event);
    const medium = Number(surface.closest("section").dataset.medium);
    const time = surface.closest("[data-time]")?.dataset.time;
    const value = surface.matches(".gb-timeline")
      ? { medium, span: xs.map((x) => x * Number(surface.dataset.length)) }
      : { medium, box: [xs[0], ys[0], xs[1], ys[1]].map((side) => 1000 * side), time_s: time && Number(time) };
    trigger("select", { index: 0, value });
  } else if (wasDragged) {
    clearBands();
  }
  drag = null;
}

document.addEventListener("pointerdown", (event) => {
  const surface = surfaceAt(event);
  wasDragged = false;
  if (!surface) return;
  clearBands();
  drag = { surface, x: event.clientX, y: event.clientY };
});
document.addEventListener("pointermove", (event) => {
  if (!drag) return;
  wasDragged ||= Math.hypot(event.clientX - drag.x, event.clientY - drag.y) >= LEAST_DRAG_PX;
  if (wasDragged) show(marked(event));
});
document.addEventListener("pointerup", end);
document.addEventListener("pointercancel", end);
document.addEventListener("click", (event) => {
  if (wasDragged) event.stopPropagation();  // what ended a drag is no click
  wasDragged = false;
  const button = event.target.closest?.("#evidence .gb-mark-part");
  if (button) button.setAttribute("aria-pressed", button.closest("section").classList.toggle("gb-marking"));
}, true);
element.addEventListener("click", (event) => {
  if (!event.target.closest("button")) return;
  clearBands();
  trigger("click");
});
watch("value", () => { if (!props.value) clearBands(); });
