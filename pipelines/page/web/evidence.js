// Brings the Evidence pane to life: marks, their chips and their words in the answer light together, a click zooms in,
// times seek the player, and a drag marks what the next question is about. The server's HTML says what belongs where:
// data-marks holds the number of a mark, data-time seconds, data-medium the place of a medium in the conversation.

const CHAT_LINK = '#chat a[href^="#gb-"]';
const LEAST_DRAG_PX = 6;

const all = (selector, within = element) => [...within.querySelectorAll(selector)];
const panel = () => element.querySelector('section[role="tabpanel"]:not([hidden])');
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// A link in the answer is "#gb-marks-1-2" or "#gb-time-3.2-5". Those of earlier answers have nothing in the pane.
function linked(target) {
  const link = target.closest?.(CHAT_LINK);
  if (!link) return null;
  const rows = document.querySelectorAll("#chat .bot-row");
  const isLast = rows.length && rows[rows.length - 1].contains(link);
  const [kind, ...numbers] = link.getAttribute("href").slice("#gb-".length).split("-");
  return { kind: isLast ? kind : "", numbers };
}

function marksOf(target) {
  const link = linked(target);
  if (link) return link.kind === "marks" ? link.numbers : [];
  return target.closest?.("[data-marks]")?.dataset.marks.split(" ") ?? [];
}

function light(numbers) {
  const pane = element.querySelector(".gb-evidence");
  pane?.toggleAttribute("data-lit", numbers.length > 0);
  for (const marked of all("[data-marks]")) marked.classList.toggle("gb-lit", numbers.includes(marked.dataset.marks));
  for (const link of document.querySelectorAll(CHAT_LINK)) {
    const words = linked(link);
    link.classList.toggle("gb-lit", words.kind === "marks" && words.numbers.some((one) => numbers.includes(one)));
  }
}

function choose(medium) {
  for (const section of all("section[role=tabpanel]")) section.hidden = section.dataset.medium !== medium;
  for (const tab of all("[role=tab]")) {
    const isChosen = tab.dataset.medium === medium;
    tab.setAttribute("aria-selected", isChosen);
    tab.tabIndex = isChosen ? 0 : -1;
  }
}

// Tells whether anything was zoomed.
function whole() {
  const zoomed = all(".gb-zoomed");
  for (const canvas of zoomed) {
    canvas.classList.remove("gb-zoomed");
    canvas.firstElementChild.removeAttribute("style");
  }
  return zoomed.length > 0;
}

// The picture is enlarged, and not the drawing over it: lines and letters keep their size.
function zoom(number) {
  const mark = element.querySelector(`.gb-figure .gb-mark[data-marks="${number}"]`)
    ?? element.querySelector(`.gb-canvas .gb-mark[data-marks="${number}"]`);
  if (!mark) return;
  choose(mark.closest("section").dataset.medium);
  whole();
  const canvas = mark.closest(".gb-canvas");
  const [x1, y1, x2 = x1, y2 = y1] = mark.dataset.place.split(" ").map(Number);
  const scale = clamp(1000 / (1.6 * Math.max(x2 - x1, y2 - y1)), 1, mark.dataset.place.split(" ").length === 2 ? 4 : 12);
  const offset = (middle) => clamp((middle * scale - 500) / 10, 0, (scale - 1) * 100);
  canvas.classList.add("gb-zoomed");
  canvas.firstElementChild.style.cssText = `width: ${scale * 100}%; height: ${scale * 100}%;`
    + ` left: -${offset((x1 + x2) / 2)}%; top: -${offset((y1 + y2) / 2)}%`;
  canvas.scrollIntoView({ block: "nearest" });
}

// The player's clock is the file's, in which the first frame may come later than at 0, or behind a sound. That frame tells
// when it comes; the player says where it begins, which may be 0 until then, and of some files is for good.
// A player goes on into the next answer about its clip, without the attributes that it got here.
const begins = new WeakMap(), wanted = new WeakMap();
const FRAME_MS = 1000;  // of waiting for that frame: phones show none before they play

function begin(player, timeS) {
  if (begins.has(player)) return;
  begins.set(player, timeS);
  if (wanted.has(player)) player.currentTime = wanted.get(player) + timeS;
}

function seek(timeS) {
  const section = panel()?.querySelector("video") ? panel() : element.querySelector("section:has(video)");
  const player = section?.querySelector("video");
  if (!player) return;
  choose(section.dataset.medium);
  player.pause();
  wanted.set(player, timeS);
  if (begins.has(player)) player.currentTime = timeS + begins.get(player);
  showTime(section, timeS);
}

function tellFailed(player) {
  player.closest(".gb-player").classList.toggle("gb-failed", player.error !== null);
}

// The line on the timeline, and the frame of the strip that is shown at that time.
function showTime(section, timeS) {
  const scale = section.querySelector(".gb-timeline");
  const line = scale?.querySelector(".gb-playhead");
  if (line) for (const end of ["x1", "x2"]) line.setAttribute(end, `${(100 * timeS) / Number(scale.dataset.length)}%`);
  const frames = all(".gb-frame", section);
  const distance = (frame) => Math.abs(Number(frame.dataset.time) - timeS);
  const nearest = frames.reduce((best, frame) => (best && distance(best) <= distance(frame) ? best : frame), null);
  for (const frame of frames) frame.classList.toggle("gb-now", frame === nearest);
}

function open(event, target) {
  const link = linked(target);
  if (link) event.preventDefault();
  const tab = target.closest("[role=tab]");
  const timed = target.closest("[data-time]");
  const [number] = marksOf(target);
  if (tab) choose(tab.dataset.medium);
  if (link?.kind === "time") seek(Number(link.numbers[0]));
  if (number && target.closest(".gb-canvas.gb-zoomed")) whole();
  else if (number) zoom(number);
  else if (target.closest(".gb-zoomed")) whole();
  if (timed) seek(Number(timed.dataset.time));
}

document.addEventListener("click", (event) => {
  if (!element.isConnected || event.target.closest(".gb-dragged")) return;
  if (element.contains(event.target) || event.target.closest(CHAT_LINK)) open(event, event.target);
});
for (const kind of ["pointerover", "focusin"]) {
  document.addEventListener(kind, (event) => {
    if (element.contains(event.target) || event.target.closest?.("#chat")) light(marksOf(event.target));
  });
}
// Escape is for the picture first, and then for the page. A press on a mark leaves the focus with the whole page.
document.addEventListener("keydown", (event) => {
  const isHere = event.target === document.body || element.contains(event.target);
  if (event.key === "Escape" && isHere && whole()) event.preventDefault();
}, true);
element.addEventListener("keydown", (event) => {
  const tab = event.target.closest("[role=tab]");
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!tab || !step) return;
  const tabs = all("[role=tab]");
  const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
  choose(next.dataset.medium);
  next.focus();
});
element.addEventListener("timeupdate", ({ target: player }) => {
  showTime(player.closest("section"), player.currentTime - (begins.get(player) ?? 0));
}, true);
element.addEventListener("error", ({ target }) => target.matches?.("video") && tellFailed(target), true);
element.addEventListener("loadstart", ({ target: player }) => {
  begins.delete(player);
  player.requestVideoFrameCallback?.((_now, { mediaTime }) => begin(player, mediaTime));
}, true);
element.addEventListener("loadedmetadata", ({ target: player }) => {
  tellFailed(player);
  const guess = () => player.readyState && begin(player, player.currentTime + Number(player.dataset.lead));
  if (player.requestVideoFrameCallback) setTimeout(guess, FRAME_MS);
  else guess();
}, true);
element.addEventListener("emptied", ({ target: player }) => wanted.delete(player), true);  // another clip's
watch("value", () => {
  light([]); // the words of the answer before keep their elements
  all("video").forEach(tellFailed);
});
