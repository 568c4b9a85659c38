/* The values at the cursor, beside it. The line below the plot says the same, to screen readers too, so this is hidden from them. */

export class Tip {
  constructor(plot) {
    this.plot = plot;
    this.box = document.createElement("div");
    this.box.className = "chart-tip";
    this.box.setAttribute("aria-hidden", "true");
    this.box.hidden = true;
    plot.over.append(this.box);
  }

  /* lines: { colour, text }, one a curve that is drawn. */
  show(where, lines) {
    const { left } = this.plot.cursor;
    const rows = lines.map(({ colour, text }) => {
      const row = document.createElement("div"), swatch = document.createElement("span");
      swatch.className = "chart-swatch";
      swatch.style.setProperty("--swatch", colour);
      row.append(swatch, text);
      return row;
    });
    const head = document.createElement("strong");
    head.textContent = where;
    this.box.replaceChildren(head, ...rows);
    this.box.classList.toggle("is-left", left > this.plot.over.clientWidth / 2);
    this.box.style.setProperty("left", `${Math.round(left)}px`);
    this.box.hidden = left < 0;
  }

  hide() {
    this.box.hidden = true;
  }
}
