// The grid of a day's slots is one stop of the Tab key; arrows, Home and End move inside it.
(() => {
  "use strict";
  const links = (grid) => [...grid.querySelectorAll("tbody tr")].map((row) => [...row.cells].map((cell) => cell.querySelector("a")));

  function settle(grid) {
    const all = [...grid.querySelectorAll("tbody a")];
    const current = all.find((link) => link === document.activeElement) || all.find((link) => link.dataset.current === "") || all[0];
    for (const link of all) {
      link.tabIndex = link === current ? 0 : -1;
      link.toggleAttribute("data-current", link === current);
    }
  }

  function move(event) {
    const grid = event.target.closest("[data-slot-grid]");
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    if (!grid || event.target.tagName !== "A" || !(event.key in steps || event.key === "Home" || event.key === "End")) return;
    const rows = links(grid);
    const row = rows.findIndex((cells) => cells.includes(event.target));
    const column = rows[row].indexOf(event.target);
    let wanted = null;
    if (event.key === "Home") wanted = rows[row].find(Boolean);
    else if (event.key === "End") wanted = rows[row].findLast(Boolean);
    else wanted = rows[row + steps[event.key][0]]?.[column + steps[event.key][1]];
    event.preventDefault();
    if (!wanted) return;
    wanted.focus();
    settle(grid);
  }

  const settleAll = () => document.querySelectorAll("[data-slot-grid]").forEach(settle);
  document.addEventListener("keydown", move);
  document.addEventListener("htmx:after:swap", settleAll);
  settleAll();
})();
