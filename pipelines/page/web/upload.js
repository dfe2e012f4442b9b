// Uploads with their progress. Gradio sends them by fetch, which tells nothing on the way: here a request that tells
// takes its place. A file over the limit is refused before it is sent.
(() => {
  const MEGABYTE = 1e6;
  const plainFetch = window.fetch.bind(window);
  const limit = window.gradio_config?.max_file_size;

  const COMPOSERS = "#composer, #compare-composer";
  const megabytes = (bytes) => (bytes / MEGABYTE).toFixed(1);

  const PANEL = `<p><span role="status"></span><span aria-hidden="true"></span></p>
    <progress max="100" aria-hidden="true"></progress><button type="button" class="gb-cancel-upload"></button>`;

  // Each side of the page has a composer and, below it, the place where its uploads are told.
  const placeOf = (composer) => document.querySelector(composer?.id === "compare-composer" ? "#compare-upload" : "#upload");
  const composerShown = () => {
    return [...document.querySelectorAll(COMPOSERS)].find((found) => found.offsetParent !== null);
  };

  // `text` is announced and so changes seldom; `running` is only seen
  function show(place, text, running = "", percent = 0, cancel = null) {
    if (!place) return;
    if (!place.querySelector("p")) place.innerHTML = PANEL;
    const [told, seen] = place.querySelectorAll("p span"), button = place.querySelector("button");
    if (told.textContent !== text) told.textContent = text;
    seen.textContent = running;
    place.querySelector("progress").value = percent;
    place.classList.toggle("gb-uploading", Boolean(cancel));
    button.textContent = glassbox.say("Cancel");
    button.onclick = cancel;
  }

  function refuseLarge(event) {
    const moved = event.target.files ?? (event.dataTransfer ?? event.clipboardData)?.files ?? [];
    const large = [...moved].filter((file) => limit && file.size > limit);
    const composer = event.target.closest?.(COMPOSERS);
    if (!large.length || !composer) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    show(placeOf(composer), tooLarge(large));
  }

  function tooLarge(files) {
    const names = files.map((file) => `“${file.name}” (${megabytes(file.size)} MB)`).join(", ");
    return glassbox.say("{names} is over the limit of {limit} MB: choose a smaller file, or cut the clip.", {
      names, limit: Math.round(limit / MEGABYTE),
    });
  }

  function follow(request, names, place) {
    const began = performance.now();
    request.upload.onprogress = ({ loaded, total }) => {
      const left = ((performance.now() - began) / 1000) * (total / loaded - 1);
      const percent = Math.floor((100 * loaded) / total);
      const values = { names, percent, done: megabytes(loaded), all: megabytes(total), left: Math.ceil(left) };
      const running = glassbox.say("{percent} % · {done} of {all} MB · {left} s left", values);
      show(place, glassbox.say("Uploading {names}", values), ` · ${running}`, values.percent, () => request.abort());
    };
  }

  function upload(url, init) {
    const none = () => new Response("[]", { headers: { "Content-Type": "application/json" } });
    const files = init.body.getAll("files"), names = files.map((file) => file.name).join(", ");
    const tooMuch = files.length > 1 // each by itself is within the limit
      ? "{names} are too many or too large for one upload: add fewer at a time."
      : "{names} is too large for this server: choose a smaller file.";
    const place = placeOf(composerShown());
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      request.open("POST", url);
      for (const [name, value] of Object.entries(init.headers ?? {})) request.setRequestHeader(name, value);
      follow(request, names, place);
      const fail = (text, values) => { show(place, glassbox.say(text, { names, ...values })); resolve(none()); };
      request.onload = () => {
        if (request.status === 413) return fail(tooMuch);
        if (request.status === 429) return fail("This server holds too many files now: try {names} again in a minute.");
        if (request.status === 507) return fail("There is no room left for {names} on this server: try again later.");
        if (request.status >= 300) return fail("{names} could not be uploaded ({status}): add it again.", { status: request.status });
        show(place, "");
        resolve(new Response(request.response, { status: request.status, headers: { "Content-Type": "application/json" } }));
      };
      request.onabort = () => fail("The upload of {names} was cancelled.");
      request.onerror = () => fail("The connection broke while {names} was uploaded: add it again.");
      request.send(init.body);
    });
  }

  for (const way of ["change", "drop", "paste"]) document.addEventListener(way, refuseLarge, true);

  window.fetch = (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input, location.href);
    const isUpload = init?.body instanceof FormData && url.pathname.endsWith("/upload");
    return isUpload ? upload(url, init) : plainFetch(input, init);
  };
})();
