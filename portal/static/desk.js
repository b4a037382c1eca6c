// Keys for the desk. The pages work without it; it only moves focus and presses what is there.
"use strict";

(() => {
  const rows = () => [...document.querySelectorAll("[data-row]")];
  const typing = (target) => target.closest("input:not([type=checkbox]), textarea, select, dialog") !== null;
  const current = () => document.activeElement?.closest("[data-row]") ?? null;
  const press = (element) => {
    if (!element) return;
    if (element.matches("summary")) {
      element.parentElement.open = true;
      element.focus();
      return;
    }
    if (element.matches("textarea, input")) {
      element.focus();
      element.scrollIntoView({ block: "center" });
      return;
    }
    element.click();
  };

  const walk = (step) => {
    const all = rows();
    if (all.length === 0) return;
    const at = all.indexOf(current());
    const next = at === -1 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + step));
    all[next].focus();
    all[next].scrollIntoView({ block: "nearest" });
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || typing(event.target)) return;
    const row = current();
    const dialog = document.getElementById("keys");
    switch (event.key) {
      case "?": dialog?.showModal(); break;
      case "j": walk(1); break;
      case "k": walk(-1); break;
      case "x": row?.querySelector("input[type=checkbox]:not(:disabled)")?.click(); break;
      case "t":
      case "d":
      case "i": press(row?.querySelector(`[data-key="${event.key}"]`)); break;
      case "n": press(document.querySelector('[data-key="n"]')); break;
      case "b": location.assign("/desk"); break;
      case "1":
      case "2":
      case "3": {
        const column = document.querySelector(`[data-col="${event.key}"]`);
        column?.focus();
        column?.scrollIntoView({ block: "start" });
        break;
      }
      case "Enter":
        if (event.target !== row) return;
        press(row?.querySelector("[data-open]") ?? row?.querySelector('[data-key="i"]'));
        break;
      default: return;
    }
    event.preventDefault();
  });
})();
