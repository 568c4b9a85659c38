/* What is known of a table's columns: units, how people see them, and which of them a kind of chart draws. */

export const WH_PER_KWH = 1000, MICRO = 1e6;
const NANO = 1e9, MILLI = 1000;

// What a kind of column is divided by for people, and how many digits it then shows.
export const KINDS = {
  energy_wh: { divisor: WH_PER_KWH, digits: 3, unit: "kWh" },
  price_micro: { divisor: MICRO, digits: 4, unit: "{currency}/kWh" },
  amount_nano: { divisor: NANO, digits: 4, unit: "{currency}" },
  voltage_milli: { divisor: MILLI, digits: 1, unit: "V" },
  share: { divisor: 10000, digits: 2, unit: "%" },
  count: { divisor: 1, digits: 0, unit: "" },
};

// Colour (a custom property of the style sheet), dash and fill of known columns: told apart without colour too.
export const STYLES = {
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
export const SPARE = ["--chart-1", "--chart-2", "--chart-3", "--chart-4", "--chart-5", "--chart-6"];
export const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3]];

// Curves that are there but not shown until somebody asks for them, by kind of chart.
export const HIDDEN = { feeder: ["import_wh", "export_wh"] };

// Which columns each kind of chart draws, in this order; a column that the table does not have is left out.
export const DRAWN = {
  load: ["import_wh", "export_wh", "bought_wh", "sold_wh", "price_micro_per_kwh"],
  price: ["volume_wh", "price_micro_per_kwh"],
  feeder: ["feeder_import_wh", "feeder_export_wh", "import_wh", "export_wh", "loss_wh", "voltage_milli_min"],
  generic: null,
};
