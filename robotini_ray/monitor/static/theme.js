// Applies the colour theme before the page is drawn, so that no other theme flashes up; a module would run too late.
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
