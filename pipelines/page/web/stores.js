// A browser that blocks cookies denies its stores, without which the framework shows no page. Here others take their
// place, and what they keep ends with the page. Runs once, before the page is built.
(() => {
  function emptyStore() {
    const kept = new Map();
    return {
      getItem: (name) => kept.get(name) ?? null,
      setItem: (name, value) => { kept.set(name, String(value)); },
      removeItem: (name) => { kept.delete(name); },
    };
  }

  for (const name of ["sessionStorage", "localStorage"]) {
    try {
      window[name].getItem("");
    } catch {
      Object.defineProperty(window, name, { value: emptyStore() });
    }
  }
})();
