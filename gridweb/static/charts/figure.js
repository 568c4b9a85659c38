/* One <figure class="chart">: loads its table, draws it, moves in it, and shows it as a table. */

import { DASHES, DRAWN, HIDDEN, KINDS, MICRO, SPARE, STYLES, WH_PER_KWH } from "./columns.js";
import { clearedPoint, hatch, openEnds, steps } from "./drawing.js";
import { meritData, timeData } from "./rows.js";
import { Tip } from "./tip.js";

const LABELS = {
  loading: "Loading …", failed: "Cannot be loaded", away: "what it rests on is away; it comes by itself", retry: "Try again", empty: "No data yet", table: "Table", chart: "Chart",
  zoom_in: "Zoom in", zoom_out: "Zoom out", earlier: "Move left", later: "Move right", all: "Show all",
  previous: "Previous rows", next: "Next rows", rows: "Rows {first} to {last} of {total}", missing: "missing",
  hint: "Drag to zoom, Shift and drag to move; with the keyboard: arrows, + and -, 0 shows all.",
  cleared: "Cleared", not_measured: "hatched: not measured", gaps: "gap: no value",
  summary: "{title}: {points} points from {first} to {last}",
  buy: "Demand", sell: "Supply", quantity: "Energy",
};
const TABLE_ROWS = 96;
const FETCH_TIMEOUT_MS = 20000;
const ZOOM_MIN_STEPS = 4;

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, key) => values[key]);
const element = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") made.className = value; else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
};
const button = (text, label, action) => {
  const made = element("button", { type: "button", class: "chart-button", "aria-label": label, title: label }, text);
  made.addEventListener("click", action);
  return made;
};

export class Chart {
  constructor(figure) {
    this.figure = figure;
    figure.dataset.drawn = "";
    this.kind = figure.dataset.kind in DRAWN || figure.dataset.kind === "merit" ? figure.dataset.kind : "generic";
    this.labels = { ...LABELS, ...JSON.parse(figure.dataset.labels || "{}") };
    this.language = document.documentElement.lang || "en";
    this.tz = figure.dataset.tz || "UTC";
    this.currency = "";
    this.hidden = new Set([...(HIDDEN[this.kind] || []), ...(figure.dataset.hidden || "").split(" ")]);
    this.colours = new Map();
    this.page = 0;
    this.footHeight = 0;
    this.hasFailed = false;
    this.build();
    this.load();
  }

  // The parts of the figure, before there is data.
  build() {
    const { labels } = this;
    this.status = element("p", { class: "chart-status", role: "status" }, labels.loading);
    this.legend = element("div", { class: "chart-legend" });
    this.title = (this.figure.querySelector(".table-title") || this.figure).textContent.trim().replace(/\s+/g, " ");
    this.canvas = this.figure.querySelector(".plot");
    for (const [name, value] of [["tabindex", "0"], ["role", "group"], ["aria-label", this.title]]) this.canvas.setAttribute(name, value);
    this.readout = element("p", { class: "chart-readout" });
    this.hint = "";
    this.tools = element("div", { class: "chart-tools" },
      button("‹", labels.earlier, () => this.pan(-0.5)), button("›", labels.later, () => this.pan(0.5)),
      button("+", labels.zoom_in, () => this.zoom(0.5)), button("−", labels.zoom_out, () => this.zoom(2)),
      button(labels.all, labels.all, () => this.showAll()));
    this.tableBox = this.figure.querySelector(".plot-table");
    this.tableBox.id = `plot-table-${Chart.count += 1}`;
    this.toggle = this.figure.querySelector(".chart-toggle");
    this.toggle.hidden = false;
    this.toggle.setAttribute("aria-controls", this.tableBox.id);
    this.toggle.addEventListener("click", () => this.showTable(this.tableBox.hidden));
    this.canvas.before(this.legend);
    this.foot = element("div", { class: "chart-foot" }, this.readout, this.tools);
    this.canvas.after(this.foot, this.status);
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.resize()).observe(this.canvas);
  }

  async load() {
    this.abort?.abort();
    const abort = this.abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), FETCH_TIMEOUT_MS);
    this.figure.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(this.figure.dataset.src, { headers: { Accept: "application/json" }, signal: abort.signal });
      if (!answer.ok) {
        const problem = await answer.json().catch(() => ({}));
        const isAway = answer.status === 503;
        throw new Error(isAway ? this.labels.away : problem.detail || `${answer.status} ${answer.statusText}`);
      }
      this.show(await answer.json());
      this.hasFailed = false;
    } catch (error) {
      if (this.abort !== abort) return; // a newer request took its place
      this.hasFailed = true;
      if (!this.plot) this.hidePlot(true);
      const reason = error.name === "AbortError" ? "" : `: ${error.message}`;
      this.say(this.labels.failed + reason, button(this.labels.retry, this.labels.retry, () => this.load()));
    } finally {
      clearTimeout(timer);
      if (this.abort === abort) this.figure.setAttribute("aria-busy", "false");
    }
  }

  hidePlot(isHidden) {
    this.foot.hidden = this.legend.hidden = this.canvas.hidden = isHidden;
  }

  say(text, ...more) {
    this.status.replaceChildren(text, ...more);
    this.status.hidden = !text;
  }

  show(table) {
    this.table = table;
    this.tz = this.figure.dataset.tz || table.tz || "UTC";
    this.currency = this.labels[table.currency] || table.currency || "";
    const step = Number(this.figure.dataset.stepS) || 0;
    this.data = this.kind === "merit" ? meritData(table, this.labels) : timeData(table, this.kind, step);
    const isEmpty = this.data.x.length < 2 || this.data.values.every((list) => list.every((value) => value === null));
    this.say(isEmpty ? this.labels.empty : "");
    this.hidePlot(isEmpty);
    this.describe();
    if (!this.tableBox.hidden) this.drawTable();
    if (isEmpty) { this.plot?.destroy(); this.plot = null; return; }
    if (this.plot && this.shape === this.shapeOf()) {
      const { min, max } = this.plot.scales.x, whole = this.isWhole;
      this.plot.setData([this.data.x, ...this.data.values], false);
      this.plot.batch(() => this.window(whole ? this.data.x[0] : min, whole ? this.data.x.at(-1) : max));
    } else this.draw();
    this.drawLegend();
    this.read(null);
  }

  shapeOf() {
    return this.data.columns.map((column) => column.key).join();
  }

  get isWhole() {
    const { min, max } = this.plot.scales.x;
    return this.extent === undefined || (min <= this.extent[0] && max >= this.extent[1]);
  }

  // What the drawing does not say by itself, and what a screen reader says of the plot.
  describe() {
    const { labels, data } = this;
    const parts = data.isTime ? [labels.gaps] : [];
    if (data.doubtful.length) parts.push(labels.not_measured);
    this.canvas.title = labels.hint;
    this.hint = parts.filter(Boolean).join(" · ");
    if (!data.x.length) return;
    const ends = data.isTime ? [data.x[0], data.x.at(-1)].map((instant) => this.instant(instant)) : [data.x[0], data.x.at(-1)].map((kwh) => `${this.number(kwh, 3)} kWh`);
    this.canvas.setAttribute("aria-label", fill(labels.summary, { title: this.title, points: this.number(this.table.rows.length, 0), first: ends[0], last: ends[1] }));
  }

  unit(column) {
    return fill(KINDS[column.kind].unit, { currency: this.currency });
  }

  number(exact, digits) {
    const value = Number(exact.toFixed(digits)) === 0 ? 0 : exact; // what rounds to zero has no sign
    return new Intl.NumberFormat(this.language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
  }

  // Where the clock changes between the first and the last instant, each label carries its offset: an hour may be there twice.
  withOffset() {
    const format = new Intl.DateTimeFormat("en", { timeZone: this.tz, timeZoneName: "longOffset" });
    const offset = (seconds) => format.formatToParts(seconds * 1000).find((part) => part.type === "timeZoneName").value;
    const { x } = this.data;
    return x.length && offset(x[0]) !== offset(x.at(-1)) ? { timeZoneName: "shortOffset" } : {};
  }

  instant(seconds) {
    this.instants ||= new Intl.DateTimeFormat(this.language, {
      timeZone: this.tz, year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...this.withOffset(),
    });
    return this.instants.format(seconds * 1000);
  }

  colour(name) {
    if (!this.colours.has(name)) this.colours.set(name, getComputedStyle(this.figure).getPropertyValue(name).trim() || "currentColor");
    return this.colours.get(name);
  }

  style(column, position) {
    if (this.kind === "merit") return position === 0 ? { colour: "--chart-1", width: 2 } : { colour: "--chart-2", width: 2, dash: [6, 3] };
    return STYLES[column.key] || { colour: SPARE[position % SPARE.length], dash: DASHES[position % DASHES.length] };
  }

  draw() {
    this.plot?.destroy();
    this.shape = this.shapeOf();
    const { data } = this;
    const kinds = [...new Set(data.columns.map((column) => column.kind))];
    const scales = { x: { time: data.isTime } };
    kinds.forEach((kind) => { scales[kind] = { range: (plot, min, max) => this.range(kind, min, max) }; });
    const ink = () => this.colour("--chart-ink"), grid = () => this.colour("--chart-grid");
    const line = (show) => ({ stroke: grid, width: 1, show });
    const axes = [{ stroke: ink, grid: line(true), ticks: line(true), size: data.isTime ? 42 : 30, values: (plot, splits, axis, space, increment) => this.ticks(splits, increment),
      label: data.isTime ? this.tz : `${this.labels.quantity} (kWh)`, labelSize: 20, space: data.isTime ? 60 : 70 }];
    kinds.slice(0, 2).forEach((kind, position) => {
      const digits = kind === "price_micro" ? 2 : undefined;
      axes.push({ scale: kind, side: position ? 1 : 3, stroke: ink, grid: line(position === 0), ticks: line(true), size: 56, labelSize: 20,
        label: this.unit(data.columns.find((column) => column.kind === kind)),
        values: (plot, splits) => splits.map((value) => value === null ? "" : this.tick(value, digits)) });
    });
    const series = [{}, ...data.columns.map((column, position) => {
      const style = this.style(column, position);
      const isFilled = style.fill && this.kind !== "merit";
      return { label: column.title, scale: column.kind, show: !this.hidden.has(column.key), paths: steps, spanGaps: false, points: { show: false },
        stroke: () => this.colour(style.colour), width: style.width || 1.5, dash: style.dash,
        fill: isFilled ? () => `color-mix(in srgb, ${this.colour(style.colour)} 18%, transparent)` : undefined };
    })];
    const options = {
      ...this.size(), scales, axes, series, legend: { show: false }, tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), this.tz),
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false, dist: 5 }, bind: { mousedown: (plot, target, handler) => (event) => this.press(event, handler) } },
      hooks: {
        setCursor: [(plot) => this.read(plot.cursor.idx)],
        drawClear: [(plot) => { this.thin(plot); hatch(plot, this.data, this.colour("--chart-grid")); }],
        draw: [(plot) => {
          if (this.kind !== "merit") return;
          openEnds(plot, this.data, ["--chart-1", "--chart-2"].map((name) => this.colour(name)));
          clearedPoint(plot, this.cleared(), this.colour("--chart-5"));
        }],
      },
    };
    this.extent = [data.x[0], data.x.at(-1)];
    this.plot = new uPlot(options, [data.x, ...data.values], this.canvas);
    this.tip = new Tip(this.plot);
    this.plot.setScale("x", { min: data.x[0], max: data.x.at(-1) });
  }

  // Whether any curve of a kind is drawn: an axis without one would show figures of nothing.
  isShown(kind) {
    return this.data.columns.some((column) => column.kind === kind && !this.hidden.has(column.key));
  }

  // Where slots are narrower than pixels, dashes and wide lines show nothing and cost a second: thin whole lines then.
  thin(plot) {
    const { min, max } = plot.scales.x;
    const isDense = this.data.step > 0 && (max - min) / this.data.step > plot.bbox.width / devicePixelRatio;
    this.data.columns.forEach((column, position) => {
      const style = this.style(column, position), series = plot.series[position + 1];
      series.dash = isDense ? undefined : style.dash;
      series.width = isDense ? 1 : (style.width || 1.5);
    });
  }

  cleared() {
    const { clearedWh, clearedMicro } = this.figure.dataset;
    return this.kind === "merit" && clearedWh && clearedMicro ? { kwh: clearedWh / WH_PER_KWH, price: clearedMicro / MICRO } : null;
  }

  // Energy and money start at zero; prices and voltages show where they move. Without limits there is no axis.
  range(kind, min, max) {
    if (min === null || max === null) return this.isShown(kind) ? [0, 1] : [null, null];
    if (kind === "price_micro" || kind === "voltage_milli") {
      const margin = Math.max((max - min) * 0.1, kind === "voltage_milli" ? 0.5 : 0.005);
      return [min - margin, max + margin];
    }
    const low = Math.min(min, 0), high = Math.max(max, 0);
    return high === low ? [0, 1] : [low * 1.05, high * 1.05];
  }

  tick(value, digits) {
    return new Intl.NumberFormat(this.language, digits === undefined ? { maximumFractionDigits: 3 } : { minimumFractionDigits: digits, maximumFractionDigits: 3 }).format(value);
  }

  ticks(splits, increment) {
    if (!this.data.isTime) return splits.map((value) => value === null ? "" : this.tick(value));
    const format = (options) => new Intl.DateTimeFormat(this.language, { timeZone: this.tz, hourCycle: "h23", ...options });
    const day = format({ month: "short", day: "numeric" }), clock = format({ hour: "2-digit", minute: "2-digit", ...this.withOffset() }), month = format({ year: "numeric", month: "short" });
    return splits.map((seconds) => {
      if (seconds === null) return "";
      if (increment >= 28 * 86400) return month.format(seconds * 1000);
      if (increment >= 86400) return day.format(seconds * 1000);
      const time = clock.format(seconds * 1000);
      return time.startsWith("00:00") ? `${time}\n${day.format(seconds * 1000)}` : time;
    });
  }

  size() {
    const width = Math.max(this.canvas.clientWidth, 200);
    return { width, height: Math.round(Math.min(320, Math.max(220, width * 0.42))) };
  }

  resize() {
    if (!this.plot || !this.canvas.clientWidth || this.canvas.clientWidth === this.plot.width) return;
    this.foot.style.removeProperty("min-height");
    this.footHeight = 0;
    this.plot.setSize(this.size());
  }

  // Names of the curves as switches, with a sample of the line.
  drawLegend() {
    this.legend.replaceChildren(...this.data.columns.map((column, position) => {
      const style = this.style(column, position);
      const swatch = element("span", { class: "chart-swatch", "aria-hidden": "true" });
      swatch.style.setProperty("--swatch", `var(${style.colour})`);
      swatch.classList.add(style.dash && style.dash.length ? "is-dashed" : "is-solid");
      const made = element("button", { type: "button", class: "chart-series", "aria-pressed": String(!this.hidden.has(column.key)) }, swatch, column.title);
      made.addEventListener("click", () => {
        if (!this.hidden.delete(column.key)) this.hidden.add(column.key);
        const isShown = !this.hidden.has(column.key);
        made.setAttribute("aria-pressed", String(isShown));
        this.plot.setSeries(position + 1, { show: isShown });
      });
      return made;
    }));
  }

  // The values under the cursor, in words; without one, what the drawing does not say by itself.
  read(index) {
    const { data } = this;
    if (index === null || index === undefined || index >= data.x.length) {
      const cleared = this.cleared();
      const price = cleared && data.columns[0] ? `${this.labels.cleared}: ${this.number(cleared.kwh, 3)} kWh, ${this.number(cleared.price, 4)} ${this.unit(data.columns[0])}` : "";
      this.write([price, this.hint].filter(Boolean).join(" · "));
      this.tip?.hide();
      return;
    }
    const lines = data.columns.map((column, position) => {
      const value = data.values[position][index], { digits } = KINDS[column.kind];
      const text = `${column.title} ${value === null ? this.labels.missing : `${this.number(value, digits)} ${this.unit(column)}`}`;
      return { key: column.key, colour: this.colour(this.style(column, position).colour), text };
    }).filter(({ key }) => !this.hidden.has(key));
    const at = data.isTime ? this.instant(data.x[index]) : `${this.number(data.x[index], 3)} kWh`;
    const where = data.doubtful.includes(data.x[index]) ? `${at} (${this.labels.not_measured})` : at;
    this.write(`${where}: ${lines.map(({ text }) => text).join("; ")}`);
    this.tip?.show(where, lines);
  }

  // The line keeps the height that it once needed: what lies below does not move with the pointer.
  write(text) {
    this.readout.textContent = text;
    const height = this.foot.offsetHeight;
    if (height > this.footHeight) this.foot.style.setProperty("min-height", `${this.footHeight = height}px`);
  }

  // ------------------------------------------------------------------------------------------------- zoom and pan

  window(min, max) {
    const [first, last] = this.extent = [this.data.x[0], this.data.x.at(-1)];
    const span = Math.min(Math.max(max - min, this.data.step * ZOOM_MIN_STEPS || (last - first) / 1000), last - first);
    const from = Math.max(first, Math.min(min, last - span));
    this.plot.setScale("x", { min: from, max: from + span });
  }

  pan(share) {
    const { min, max } = this.plot.scales.x, shift = (max - min) * share;
    this.window(min + shift, max + shift);
  }

  zoom(factor) {
    const { min, max } = this.plot.scales.x, middle = (min + max) / 2, half = ((max - min) * factor) / 2;
    this.window(middle - half, middle + half);
  }

  showAll() {
    this.window(this.data.x[0], this.data.x.at(-1));
  }

  // With Shift the plot moves with the pointer; without it, uPlot marks the part to zoom into.
  press(event, handler) {
    if (!event.shiftKey) { handler(event); return; }
    const { min, max } = this.plot.scales.x, from = event.clientX;
    const perPixel = (max - min) / (this.plot.bbox.width / devicePixelRatio);
    let pending = 0, at = from;
    const move = (moved) => {
      at = moved.clientX;
      pending ||= requestAnimationFrame(() => { pending = 0; this.window(min - (at - from) * perPixel, max - (at - from) * perPixel); });
    };
    const end = () => { removeEventListener("mousemove", move); removeEventListener("mouseup", end); };
    addEventListener("mousemove", move);
    addEventListener("mouseup", end);
  }

  key(event) {
    const keys = { ArrowLeft: () => this.pan(-0.1), ArrowRight: () => this.pan(0.1), "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), 0: () => this.showAll(), Home: () => this.showAll() };
    const action = keys[event.key];
    if (!action || !this.plot || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  }

  // --------------------------------------------------------------------------------------------------------- table

  showTable(isWanted) {
    this.tableBox.hidden = !isWanted;
    this.toggle.setAttribute("aria-expanded", String(isWanted));
    if (isWanted && this.table) this.drawTable();
  }

  cell(column, value) {
    if (value === null || value === undefined || value === "") return "–";
    if (column.kind === "instant" || column.kind === "slot") return this.instant(value);
    if (this.kind === "merit" && column.key === "side") return this.labels[value] || String(value);
    if (column.words && value in column.words) return column.words[value];
    const kind = KINDS[column.kind];
    return kind ? this.number(Number(value) / kind.divisor, kind.digits) : String(value);
  }

  // A page of rows at a time: a year has 35,040 of them.
  drawTable() {
    const { columns, rows } = this.table, { labels } = this;
    const pages = Math.max(1, Math.ceil(rows.length / TABLE_ROWS));
    this.page = Math.min(this.page, pages - 1);
    const first = this.page * TABLE_ROWS, shown = rows.slice(first, first + TABLE_ROWS);
    const heads = columns.map((column) => element("th", { scope: "col" }, this.head(column)));
    const body = shown.map((row) => element("tr", {}, ...row.map((value, position) => {
      const isHead = position === 0;
      const attributes = isHead ? { scope: "row" } : {};
      if (columns[position].kind in KINDS) attributes.class = "number";
      return element(isHead ? "th" : "td", attributes, this.cell(columns[position], value));
    })));
    const table = element("table", {}, element("caption", {}, this.title), element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...body));
    const turn = (by) => { this.page += by; this.drawTable(); };
    const back = button("‹", labels.previous, () => turn(-1)), on = button("›", labels.next, () => turn(1));
    back.disabled = this.page === 0;
    on.disabled = this.page >= pages - 1;
    const position = fill(labels.rows, { first: rows.length ? first + 1 : 0, last: first + shown.length, total: this.number(rows.length, 0) });
    const pager = element("p", { class: "chart-pager" }, back, element("span", { role: "status" }, position), on);
    const box = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": this.title }, table);
    this.tableBox.replaceChildren(pager, box);
  }

  head(column) {
    const isInstant = column.kind === "instant" || column.kind === "slot";
    const unit = isInstant ? this.tz : column.kind in KINDS ? this.unit(column) : "";
    return unit ? `${column.title} (${unit})` : column.title;
  }

  recolour() {
    this.colours.clear();
    this.plot?.redraw(false, true);
  }
}
Chart.count = 0;
