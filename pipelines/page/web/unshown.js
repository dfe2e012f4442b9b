// A picture or a clip that this browser cannot show, as HEIC and AVI, has its name in its place. Runs once, before the
// page is built.
(() => {
  const PLACE = ".thumbnail-item, .image-frame, #chat .mirror-wrap"; // of the composers, and of the chat

  function unshown({ target }) {
    const place = target.matches?.("img, video") && target.closest(PLACE);
    if (place) place.dataset.unshown = glassbox.fileName(target.src);
  }

  document.addEventListener("error", unshown, true);
  // The framework keeps the element and gives it another file.
  for (const kind of ["load", "loadedmetadata"]) {
    document.addEventListener(kind, ({ target }) => delete target.closest?.(PLACE)?.dataset.unshown, true);
  }
})();
