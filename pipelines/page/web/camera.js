// A photo or a short clip from the camera. It goes into the composer as a file that was picked, and is uploaded as one.
const say = glassbox.say;
element.innerHTML = `
  <button type="button" class="gb-camera" aria-label="${say("Camera")}" title="${say("Camera")}">
    <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4.5 7h3L9 4.5h6L16.5 7h3A1.5 1.5 0 0 1 21 8.5v9a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 3 17.5v-9A1.5 1.5 0 0 1 4.5 7z"/><circle cx="12" cy="13" r="3.6"/></svg>
  </button>
  <dialog aria-label="${say("Camera")}">
    <video autoplay muted playsinline></video>
    <p role="status"></p>
    <button type="button" data-act="photo">${say("Take a photo")}</button>
    <button type="button" data-act="clip">${say("Record a clip")}</button>
    <button type="button" data-act="close">${say("Close")}</button>
  </dialog>`;
const dialog = element.querySelector("dialog"), view = dialog.querySelector("video"), told = dialog.querySelector("p");
const button = (act) => dialog.querySelector(`[data-act=${act}]`);
const MAX_CLIP_MS = 60_000;
let stream = null, recorder = null;

function hand(blob, name) {
  const moved = new DataTransfer(), input = document.querySelector("#composer input[type=file]");
  moved.items.add(new File([blob], name, { type: blob.type }));
  input.files = moved.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
  dialog.close();
}

async function open() {
  told.textContent = "";
  dialog.showModal();
  try {
    const found = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    if (!dialog.open || stream) return found.getTracks().forEach((track) => track.stop()); // one of two openings is enough
    view.srcObject = stream = found;
  } catch {
    told.textContent = say("No camera can be used: allow it for this page, or add a file.");
  }
}

function photograph() {
  const canvas = Object.assign(document.createElement("canvas"), { width: view.videoWidth, height: view.videoHeight });
  canvas.getContext("2d").drawImage(view, 0, 0);
  canvas.toBlob((blob) => hand(blob, "photo.jpg"), "image/jpeg", 0.95);
}

function record() {
  if (recorder) return recorder.stop();
  const parts = [], recording = new MediaRecorder(stream), stopAtLast = setTimeout(() => recording.stop(), MAX_CLIP_MS);
  recorder = recording;
  recording.ondataavailable = ({ data }) => parts.push(data);
  recording.onstop = () => {
    clearTimeout(stopAtLast);
    recorder = null;
    button("clip").textContent = say("Record a clip");
    const [type] = recording.mimeType.split(";"), kind = type === "video/mp4" ? "mp4" : "webm"; // Safari's is MP4
    if (dialog.open) hand(new Blob(parts, { type }), `clip.${kind}`);
  };
  recording.start();
  button("clip").textContent = say("Stop and use it");
  told.textContent = say("Recording, a minute at most");
}

element.querySelector(".gb-camera").onclick = open;
button("photo").onclick = () => stream && view.videoWidth && photograph();
button("clip").onclick = () => stream && record();
button("close").onclick = () => dialog.close();
dialog.onclose = () => {
  stream?.getTracks().forEach((track) => track.stop());
  stream = view.srcObject = null;
};
