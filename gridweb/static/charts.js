/* Charts out of tables: every <figure class="chart" data-src="…"> (macro `chart`) gets a plot (uPlot) and, on demand, the same
 * JSON as a table.
 *
 * The JSON is that of the table API: {"tz", "currency", "columns": [{"key", "title", "kind"}], "rows": [[…]]}, exact integers in
 * ledger units; here alone they become decimals, for the eye.
 * Attributes of the figure:
 *   data-kind     load | price | merit | feeder | generic: which columns are drawn, and how
 *   data-src      address of the table's JSON
 *   data-tz       time zone of the axis (IANA name; else the table's), data-run: label of the settlement run
 *   data-step-s   length of a slot; without it, the smallest distance between two rows
 *   data-live     present: read again whenever a slot changes (events of live.js)
 *   data-cleared-wh, data-cleared-micro: the cleared point of a merit order
 *   data-hidden   keys of columns that are not drawn until they are asked for, with spaces between them
 *   data-labels   JSON object of texts in the page's language, over LABELS below
 * A value holds for its whole slot, so lines are steps; a slot without a value is a gap and nothing is drawn over it.
 */
(() => {
  "use strict";

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
  const REFRESH_MS = 1000;
  const ZOOM_MIN_STEPS = 4;
  const WH_PER_KWH = 1000, MICRO = 1e6, NANO = 1e9, MILLI = 1000;

  // What a kind of column is divided by for people, and how many digits it then shows.
  const KINDS = {
    energy_wh: { divisor: WH_PER_KWH, digits: 3, unit: "kWh" },
    price_micro: { divisor: MICRO, digits: 4, unit: "{currency}/kWh" },
    amount_nano: { divisor: NANO, digits: 4, unit: "{currency}" },
    voltage_milli: { divisor: MILLI, digits: 1, unit: "V" },
    share: { divisor: 10000, digits: 2, unit: "%" },
    count: { divisor: 1, digits: 0, unit: "" },
  };

  // Colour (a custom property of the style sheet), dash and fill of known columns: told apart without colour too.
  const STYLES = {
    import_wh: { colour: "--chart-1", fill: true },
    export_wh: { colour: "--chart-2", fill: true },
    bought_wh: { colour: "--chart-3", dash: [6, 3] },
    sold_wh: { colour: "--chart-4", dash: [2, 3] },
    volume_wh: { colour: "--chart-3", fill: true, width: 1 },
    feeder_import_wh: { colour: "--chart-1", fill: true },
    feeder_export_wh: { colour: "--chart-2", fill: true },
    loss_wh: { colour: "--chart-4", dash: [2, 3] },
    price_micro_per_kwh: { colour: "--chart-5", width: 2 },
    voltage_milli_min: { colour: "--chart-6", dash: [8, 3, 2, 3], width: 1 },
  };
  const SPARE = ["--chart-1", "--chart-2", "--chart-3", "--chart-4", "--chart-5", "--chart-6"];
  const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3]];

  // Curves that are there but not shown until somebody asks for them, by kind of chart.
  const HIDDEN = { feeder: ["import_wh", "export_wh"] };

  // Which columns each kind of chart draws, in this order; a column that the table does not have is left out.
  const DRAWN = {
    load: ["import_wh", "export_wh", "bought_wh", "sold_wh", "price_micro_per_kwh"],
    price: ["volume_wh", "price_micro_per_kwh"],
    feeder: ["feeder_import_wh", "feeder_export_wh", "import_wh", "export_wh", "loss_wh", "voltage_milli_min"],
    generic: null,
  };

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

  // ------------------------------------------------------------------------------------------------------------- data

  /* Instants, values and texts of a table's rows, as the plot needs them. Gaps become nulls; one more instant ends the last slot. */
  function timeData(table, kind, stepGiven) {
    const at = table.columns.findIndex((column) => column.kind === "instant" || column.kind === "slot");
    const wanted = DRAWN[kind];
    const numeric = table.columns.map((column, index) => ({ ...column, index })).filter((column) => column.kind in KINDS);
    const columns = (wanted ? wanted.map((key) => numeric.find((column) => column.key === key)).filter(Boolean) : numeric)
      .filter((column) => table.rows.some((row) => row[column.index] !== null));
    const rows = table.rows.filter((row) => row[at] !== null).sort((left, right) => left[at] - right[at]);
    let step = stepGiven || Infinity;
    for (let index = 1; !stepGiven && index < rows.length; index += 1) {
      const distance = rows[index][at] - rows[index - 1][at];
      if (distance > 0 && distance < step) step = distance;
    }
    if (!Number.isFinite(step)) step = 900;
    const quality = table.columns.findIndex((column) => column.kind === "quality");
    const instants = [], values = columns.map(() => []), doubtful = [];
    for (const row of rows) {
      const instant = row[at];
      if (instants.length && instant > instants[instants.length - 1] + step) {
        instants.push(instants[instants.length - 1] + step);
        values.forEach((list) => list.push(null));
      }
      if (quality >= 0 && row[quality] && row[quality] !== "measured" && row[quality] !== "missing") doubtful.push(instant);
      instants.push(instant);
      columns.forEach((column, position) => {
        const value = row[column.index];
        values[position].push(value === null || value === "" ? null : Number(value) / KINDS[column.kind].divisor);
      });
    }
    if (instants.length) {
      instants.push(instants[instants.length - 1] + step);
      values.forEach((list) => list.push(null));
    }
    return { x: instants, columns, values, step, doubtful, isTime: true };
  }

  /* Supply and demand curves: rows with side, price_micro_per_kwh and the energy range from_wh … to_wh that the order covers. */
  function meritData(table, labels) {
    const place = Object.fromEntries(table.columns.map((column, index) => [column.key, index]));
    const ends = new Set([0]);
    for (const row of table.rows) {
      ends.add(row[place.from_wh]);
      ends.add(row[place.to_wh]);
    }
    const x = [...ends].sort((left, right) => left - right);
    const index = new Map(x.map((value, position) => [value, position]));
    const values = ["buy", "sell"].map((side) => {
      const list = x.map(() => null);
      for (const row of table.rows) {
        if (row[place.side] !== side) continue;
        const price = row[place.price_micro_per_kwh] / MICRO;
        for (let at = index.get(row[place.from_wh]); at < index.get(row[place.to_wh]); at += 1) list[at] = price;
      }
      return list;
    });
    const columns = ["buy", "sell"].map((side) => ({ key: side, title: labels[side], kind: "price_micro" }));
    return { x: x.map((wh) => wh / WH_PER_KWH), columns, values, step: 0, doubtful: [], isTime: false };
  }

  // ------------------------------------------------------------------------------------------------------------ drawing

  /* Steps: each value from its own instant to the next one. Where many fall on one pixel, the smallest and largest are drawn, and
   * the area reaches to the one farthest from zero. The area of a stretch without a gap is one polygon: as a path of rectangles, one
   * for each pixel, a year of it takes fifty times as long to fill. */
  function steps(plot, seriesIndex, from, to) {
    return uPlot.orient(plot, seriesIndex, (series, xs, ys, scaleX, scaleY, toX, toY, left, top, width, height) => {
      const stroke = new Path2D(), area = series.fill ? new Path2D() : null;
      const zero = toY(Math.max(scaleY.min, Math.min(scaleY.max, 0)), scaleY, height, top);
      let pen = false, lastX = null, low = 0, high = 0, lastY = 0, far = zero;
      const lift = () => {
        if (pen && area) area.lineTo(lastX, zero);
        pen = false;
        far = zero;
      };
      for (let at = from; at <= to; at += 1) {
        const value = ys[at];
        if (value === null || value === undefined || at + 1 >= xs.length) { lift(); continue; }
        const x0 = Math.round(toX(xs[at], scaleX, width, left)), x1 = Math.round(toX(xs[at + 1], scaleX, width, left));
        const y = Math.round(toY(value, scaleY, height, top) * 2) / 2;
        if (area) {
          if (!pen) area.moveTo(x0, zero);
          if (Math.abs(y - zero) > Math.abs(far - zero)) far = y;
          if (x1 > x0) {
            area.lineTo(x0, far);
            area.lineTo(x1, far);
            far = zero;
          }
        }
        if (!pen) stroke.moveTo(x0, y);
        else if (x0 === lastX && x0 === x1) {
          if (y < low || y > high) { low = Math.min(low, y); high = Math.max(high, y); stroke.lineTo(x0, y); }
          lastY = y;
          continue;
        } else stroke.lineTo(x0, lastY);
        stroke.lineTo(x0, y);
        if (x1 > x0) stroke.lineTo(x1, y);
        pen = true;
        if (lastX !== x1) { low = y; high = y; }
        lastX = x1;
        lastY = y;
      }
      lift();
      return { stroke, fill: area, clip: null, band: null, gaps: null, flags: 1 };
    });
  }

  /* Hatching behind slots whose value was not measured. */
  function hatch(plot, data, colour) {
    if (!data.doubtful.length) return;
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    for (const instant of data.doubtful) {
      const x0 = plot.valToPos(instant, "x", true), x1 = plot.valToPos(instant + data.step, "x", true);
      ctx.rect(x0, bbox.top, x1 - x0, bbox.height);
    }
    ctx.clip();
    ctx.strokeStyle = colour;
    ctx.lineWidth = devicePixelRatio;
    ctx.beginPath();
    const gap = 7 * devicePixelRatio;
    for (let x = bbox.left - bbox.height; x < bbox.left + bbox.width; x += gap) {
      ctx.moveTo(x, bbox.top + bbox.height);
      ctx.lineTo(x + bbox.height, bbox.top);
    }
    ctx.stroke();
    ctx.restore();
  }

  /* Beyond its last order demand falls to nothing and supply rises without end. */
  function openEnds(plot, data, colours) {
    const { ctx, bbox } = plot;
    const edges = [bbox.top + bbox.height, bbox.top];
    ctx.save();
    ctx.lineWidth = 2 * devicePixelRatio;
    data.values.forEach((list, side) => {
      const last = list.findLastIndex((price) => price !== null);
      if (last < 0 || last + 1 >= data.x.length || !plot.series[side + 1].show) return;
      const x = Math.round(plot.valToPos(data.x[last + 1], "x", true));
      if (x < bbox.left || x > bbox.left + bbox.width) return;
      ctx.strokeStyle = colours[side];
      ctx.setLineDash(side ? [6 * devicePixelRatio, 3 * devicePixelRatio] : []);
      ctx.beginPath();
      ctx.moveTo(x, plot.valToPos(list[last], "price_micro", true));
      ctx.lineTo(x, edges[side]);
      ctx.stroke();
    });
    ctx.restore();
  }

  /* A cross and a ring at the cleared point of a merit order. */
  function clearedPoint(plot, cleared, colour) {
    if (!cleared) return;
    const { ctx, bbox } = plot;
    const x = plot.valToPos(cleared.kwh, "x", true), y = plot.valToPos(cleared.price, "price_micro", true);
    ctx.save();
    ctx.strokeStyle = colour;
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(x, y);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.beginPath();
    ctx.arc(x, y, 5 * devicePixelRatio, 0, 2 * Math.PI);
    ctx.stroke();
    ctx.restore();
  }

  // ------------------------------------------------------------------------------------------------------------- figure

  class Chart {
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

    instant(seconds) {
      this.instants ||= new Intl.DateTimeFormat(this.language, { timeZone: this.tz, dateStyle: "medium", timeStyle: "short", hourCycle: "h23" });
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
      const day = format({ month: "short", day: "numeric" }), clock = format({ hour: "2-digit", minute: "2-digit" }), month = format({ year: "numeric", month: "short" });
      return splits.map((seconds) => {
        if (seconds === null) return "";
        if (increment >= 28 * 86400) return month.format(seconds * 1000);
        if (increment >= 86400) return day.format(seconds * 1000);
        const time = clock.format(seconds * 1000);
        return time === "00:00" ? `${time}\n${day.format(seconds * 1000)}` : time;
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
        return;
      }
      const values = data.columns.map((column, position) => {
        const value = data.values[position][index], { digits } = KINDS[column.kind];
        return `${column.title} ${value === null ? this.labels.missing : `${this.number(value, digits)} ${this.unit(column)}`}`;
      });
      const where = data.isTime ? this.instant(data.x[index]) : `${this.number(data.x[index], 3)} kWh`;
      this.write(`${where}: ${values.filter((text, position) => !this.hidden.has(data.columns[position].key)).join("; ")}`);
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

  // --------------------------------------------------------------------------------------------------------------- page

  const charts = new Map();
  function find(root) {
    for (const [figure] of charts) if (!figure.isConnected) charts.delete(figure);
    for (const figure of root.querySelectorAll("figure.chart[data-src]")) {
      if (!charts.has(figure)) charts.set(figure, new Chart(figure));
    }
  }
  const recolour = () => charts.forEach((chart) => chart.recolour());

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
  new MutationObserver(recolour).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "class"] });
  // Events come in bursts: a chart is read again at most once a second, and the last event is always seen.
  let waiting = 0;
  const refresh = () => {
    waiting ||= setTimeout(() => {
      waiting = 0;
      charts.forEach((chart) => { if ("live" in chart.figure.dataset) chart.load(); });
    }, REFRESH_MS);
  };
  for (const name of ["live-slot", "live-back"]) document.body.addEventListener(name, refresh);
  // What could not be read is tried again when something is away or back, too.
  document.body.addEventListener("live-status", () => charts.forEach((chart) => { if (chart.hasFailed) chart.load(); }));
  document.addEventListener("htmx:after:swap", () => find(document));
  find(document);
})();
