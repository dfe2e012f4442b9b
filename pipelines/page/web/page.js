// What the page remembers in this tab, and its keys. Runs once, before the page is built.
Object.assign(window.glassbox, (() => {
  const DRAFT = "glassbox-draft", HERE = "glassbox-conversation", SYSTEM = "glassbox-system";
  const COMPARED = "glassbox-compared", RIVALS = "glassbox-rivals";
  let isAsked = false; // the composer was emptied by asking, and its question may yet come back

  function keepDraft(message) {
    const files = (message?.files ?? []).map((file) => file.path);
    if (!isAsked) sessionStorage.setItem(DRAFT, JSON.stringify({ text: message?.text ?? "", files }));
    return JSON.stringify(files);
  }

  // The other side of the page keeps its question when it is asked, and so does the tab.
  function keepCompared(message) {
    const files = (message?.files ?? []).map((file) => file.path);
    sessionStorage.setItem(COMPARED, JSON.stringify({ text: message?.text ?? "", files }));
  }

  // As it was before the page filled its settings in, which are remembered as they change.
  const system = sessionStorage.getItem(SYSTEM);
  const leftDraft = sessionStorage.getItem(DRAFT);

  // What this tab held before it was loaded. Whoever was quick has more in the composer by now, which stays.
  function left() {
    const now = sessionStorage.getItem(DRAFT), before = JSON.parse(leftDraft ?? "{}");
    if (now === leftDraft) return before;
    if (!before.text && !before.files?.length) return {};
    const { text, files } = JSON.parse(now);
    return {
      text: [before.text, text].filter(Boolean).join("\n"),
      files: [...new Set([...(before.files ?? []), ...files])],
    };
  }

  function remembered() {
    const linked = new URLSearchParams(location.search).get("conversation");
    if (linked) history.replaceState(null, "", location.pathname);
    const id = linked ?? sessionStorage.getItem(HERE) ?? "";
    return JSON.stringify({ id, is_linked: Boolean(linked), system, ...left() });
  }

  const shown = (selector) => [...document.querySelectorAll(selector)].find((found) => found.offsetParent !== null);

  function walk(from, step) {
    const group = from.closest(".gb-chips, .gb-strip, .gb-kept, [data-walk]");
    const stops = group ? [...group.querySelectorAll("[tabindex='0'], button, a[href]")] : [];
    const next = stops[stops.indexOf(from) + step];
    next?.focus();
    return next !== undefined;
  }

  // A key that is for the input method, such as one that ends the writing of Japanese: Safari ends that before the key.
  const isComposing = (event) => event.isComposing || event.keyCode === 229;

  // Whoever listens before may have closed the list by the time that its Escape comes here.
  let wasOpen = false;
  document.addEventListener("keydown", ({ target }) => {
    wasOpen = target.matches?.("[role=combobox][aria-expanded=true], [role=listbox][aria-expanded=true]") ?? false;
  }, true);

  document.addEventListener("keydown", (event) => {
    if (isComposing(event) || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const isWriting = event.target.matches?.("input, textarea, select, [contenteditable]");
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape" && !wasOpen && !document.querySelector("dialog[open]")) {
      shown("#composer .stop-button, #compare-composer .stop-button, #leave-edit, .gb-cancel-upload")?.click();
    } else if (event.key === "/" && !isWriting) {
      event.preventDefault();
      composer()?.focus();
    } else if (step && !isWriting && walk(event.target, step)) {
      event.preventDefault();
    }
  });

  // A list and a table run as their first words do. What a paragraph needs for that, its style has.
  const UNDIRECTED = "#chat .md :is(ul, ol, table):not([dir])";
  new MutationObserver(() => {
    for (const found of document.querySelectorAll(UNDIRECTED)) found.dir = "auto";
  }).observe(document, { subtree: true, childList: true });

  // Whoever asked by keys goes on where the question was typed, which takes no focus while an answer runs.
  let isTyping = false;
  const composer = () => shown("#composer textarea, #compare-composer textarea");
  const isPointed = () => matchMedia("(pointer: fine)").matches; // a focus would bring up the keys of a phone
  const follow = ({ target }) => { isTyping = Boolean(target.closest?.("#composer")); };
  for (const kind of ["focusin", "pointerdown"]) document.addEventListener(kind, follow, true);

  function compose() {
    if (isPointed()) composer()?.focus();
  }

  function goOn() {
    if (isTyping && document.activeElement === document.body) compose();
  }

  return {
    compose,
    fileName: (address) => decodeURIComponent(new URL(address).pathname.split("/").at(-1)),
    isComposing,
    keepDraft,
    keepCompared,
    keepRivals: (names) => sessionStorage.setItem(RIVALS, JSON.stringify(names.map((name) => name ?? ""))),
    rivals: () => JSON.parse(sessionStorage.getItem(RIVALS) ?? '["", ""]'),
    compared: () => sessionStorage.getItem(COMPARED) ?? "{}",
    remembered,
    asked: () => { isAsked = true; glassbox.toEnd(); },
    answered: (message) => { isAsked = false; keepDraft(message); goOn(); },
    rememberSystem: (system) => sessionStorage.setItem(SYSTEM, system),
    remember: (id) => sessionStorage.setItem(HERE, id),
  };
})());
