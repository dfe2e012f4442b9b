// The page in the language of the browser. Whoever writes a text writes it in English; here it is replaced as it comes
// into the page, by what the catalogue of the language holds for it, and stays as it is where that holds nothing.
// What the model, a person or a file is named with is nobody's to translate: it stands under translate="no".
window.glassbox = (() => {
  const CATALOGUES = window.gradio_config?.i18n_translations ?? {};
  const WIDE = ["zh-CN", "ja"]; // no space between sentences, and a comma between thousands
  const ATTRIBUTES = ["title", "aria-label", "placeholder", "alt"];
  const LEFT = "[translate=no], script, style, code, textarea, [data-tokens], #chat .message .md, #chat .example, "
    + "#requests [role=option], .file-preview";
  const SPOKEN = "#chat [data-testid=bot], #chat [data-testid=user]"; // what is heard of it, heard.js tells
  const OURS = "#chat .thought-group .title .md, #chat .bot p:only-child > em:only-child, #chat .bot summary, #chat .bot table:has([href^='#gb-']) th";
  const MOST_KEPT = 2000;

  const wanted = navigator.language ?? "en";
  const language = [wanted, wanted.split("-")[0], ...(wanted.startsWith("zh") ? ["zh-CN"] : [])]
    .find((code) => code in CATALOGUES);
  const texts = Object.assign(Object.create(null), JSON.parse(CATALOGUES[language]?.glassbox ?? "{}"));
  const kept = new Map();

  // "{n} of {m} frames": a name of one letter stands for a number, a longer one for any text, which is then told too,
  // unless somebody named it so
  const KEPT = /^(names?|title|model)$/;

  function patternOf([from, to]) {
    const parts = from.split(/\{(\w+)\}/);
    const source = parts.map((part, at) => {
      if (at % 2) return part.length === 1 ? "([\\d.,]+)" : "(.+?)";
      return part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    });
    const names = parts.filter((_, at) => at % 2), length = from.replace(/\{\w+\}/g, "").length;
    return { names, length, to, shape: new RegExp(`^${source.join("")}$`, "s") };
  }

  const patterns = Object.entries(texts).filter(([from]) => from.includes("{")).map(patternOf)
    .sort((one, other) => other.length - one.length);

  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

  // The text in the reader's language, with its values put in.
  const say = (text, values = {}) => fill(texts[text] ?? text, values);

  // "1,050" is little more than one to whoever writes decimals with a comma. Nothing else is changed about a number, as
  // what was changed may come by again.
  const GROUPS = /(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])/g, MEASURED = /^[\d.,]+ ?[\p{L}/]+$/u;

  function number(text) {
    return WIDE.includes(language) ? text : text.replace(GROUPS, (found) => found.replaceAll(",", "\u202f"));
  }

  function value(name, text) {
    if (KEPT.test(name)) return text;
    return name.length > 1 ? told(text) : number(text);
  }

  function fitting(text) {
    for (const { names, shape, to } of patterns) {
      const found = shape.exec(text);
      if (found) return fill(to, Object.fromEntries(names.map((name, at) => [name, value(name, found[at + 1])])));
    }
    return undefined;
  }

  const SENTENCES = [/(?<=[.!?]) (?=[A-Z“"])/, WIDE.includes(language) ? "" : " "];

  function split(text, [between, join]) {
    const parts = text.split(between);
    return parts.length > 1 ? parts.map(told).join(join) : undefined;
  }

  // A text that was put together is told part by part.
  function told(text) {
    return texts[text] ?? split(text, SENTENCES) ?? split(text, [" · ", " · "]) ?? fitting(text)
      ?? split(text, ["; ", "; "]) ?? split(text, [", ", ", "]) ?? (MEASURED.test(text) ? number(text) : text);
  }

  function translated(text) {
    const [, before, words, after] = /^([\s·]*)(.*?)([\s·]*)$/s.exec(text);
    if (!/\p{L}/u.test(words)) return number(text);
    if (!kept.has(words)) {
      if (kept.size >= MOST_KEPT) kept.clear(); // lines with numbers that run
      kept.set(words, told(words));
    }
    return before + kept.get(words) + after;
  }

  const isOurs = (element) => {
    const nearest = element?.closest(`${LEFT}, ${OURS}`);
    return !nearest || nearest.matches(OURS);
  };

  function takeText(node) {
    const text = translated(node.data);
    if (text !== node.data) node.data = text;
  }

  function takeAttributes(element) {
    if (element.matches(SPOKEN)) return;
    for (const name of ATTRIBUTES) {
      const value = element.getAttribute(name);
      const text = value && translated(value);
      if (value && text !== value) element.setAttribute(name, text);
    }
  }

  function take(node) {
    if (node.nodeType === Node.TEXT_NODE) {
      if (isOurs(node.parentElement)) takeText(node);
    } else if (node.nodeType === Node.ELEMENT_NODE) {
      if (isOurs(node) || node.matches("textarea")) takeAttributes(node);
      for (const child of node.childNodes) take(child);
    }
  }

  function follow() {
    document.documentElement.lang = language;
    const observer = new MutationObserver((changes) => {
      for (const { type, target, addedNodes } of changes) {
        if (type === "childList") addedNodes.forEach(take);
        else if (type === "characterData") take(target);
        else if (isOurs(target) || target.matches("textarea")) takeAttributes(target);
      }
      observer.takeRecords(); // of what was just written here
    });
    observer.observe(document, {
      subtree: true, childList: true, characterData: true, attributeFilter: ATTRIBUTES,
    });
  }

  if (language) follow();
  return { say };
})();
