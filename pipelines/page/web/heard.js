// What the framework's parts are to those who hear the page: some it leaves without a name or calls in English, and to
// some it gives a role that they do not keep to. Runs before the page is built.
(() => {
  const { say } = glassbox;
  const PICTURE = "#chat .image-container > button";
  const AS = [ // found by an id and by children, as whole answers are not looked through for each change of one
    ["#chat [role=log]", "aria-live", "off"], // the status line tells how far an answer is, which is heard as it grows else
    ["#library .toggle-button", "aria-label", say("Conversations")], // it calls the button of every sidebar alike
    ["#settings .toggle-button", "aria-label", say("Settings")],
    ["#chat .examples", "role", "group"], // of buttons: its list has no items
    ["#composer :is(.thumbnails, .thumbnail-wrapper)", "role", "group"], // its items stand in no list
    ["#compare-composer :is(.thumbnails, .thumbnail-wrapper)", "role", "group"],
    // it names a message by its source, with the markup in it, and has no role for that
    ["#chat :is([data-testid=bot], [data-testid=user])", "role", "group"],
    ["#chat [data-testid=user]", "aria-label", say("Question")],
    ["#chat [data-testid=bot]:not(:has(> .thought-group))", "aria-label", say("Answer")],
    ["#chat [data-testid=bot]:has(> .thought-group)", "aria-label", say("Thought")],
    ["#chat .thought-group .arrow", "inert", ""], // a button in the one that folds
    [PICTURE, "tabindex", "-1"], // a button that does nothing
  ];

  function hear() {
    for (const [parts, name, value] of AS) {
      for (const part of document.querySelectorAll(parts)) {
        if (part.getAttribute(name) !== value) part.setAttribute(name, value);
      }
    }
    for (const title of document.querySelectorAll("#chat .thought-group > .title")) {
      title.ariaExpanded = String(title.nextElementSibling !== null);
    }
    for (const picture of document.querySelectorAll(`${PICTURE}:has(img[src*="/file="])`)) {
      const name = glassbox.fileName(picture.querySelector("img").src);
      if (picture.ariaLabel !== name) picture.ariaLabel = name;
    }
    for (const example of document.querySelectorAll("#chat .example[aria-label]")) example.removeAttribute("aria-label");
  }

  new MutationObserver(hear).observe(document, {
    subtree: true, childList: true, attributeFilter: ["aria-label", "aria-live", "src"],
  });
})();
