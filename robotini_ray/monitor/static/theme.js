// Runs before the page is drawn, so that a chosen theme does not flash; hence no module.
(() => {
  const KEY = "robotini-theme";
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");

  function chosen() {
    const kept = localStorage.getItem(KEY);
    return kept === "light" || kept === "dark" ? kept : "auto";
  }

  function apply() {
    const choice = chosen();
    root.dataset.theme = choice === "auto" ? (system.matches ? "dark" : "light") : choice;
    dispatchEvent(new Event("themechange"));
  }

  apply();
  system.addEventListener("change", apply);
  addEventListener("DOMContentLoaded", () => {
    for (const input of document.querySelectorAll("input[name=theme]")) {
      input.checked = input.value === chosen();
      input.addEventListener("change", () => {
        localStorage.setItem(KEY, input.value);
        apply();
      });
    }
  });
})();
