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
 *   data-labels   JSON object of texts in the page's language, over those of charts/figure.js
 * A value holds for its whole slot, so lines are steps; a slot without a value is a gap and nothing is drawn over it.
 */
import { Chart } from "./charts/figure.js";

const REFRESH_MS = 1000;

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
