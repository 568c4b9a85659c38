/* From a table's rows to what the plot needs: instants or energies, and values as decimals for the eye. */

import { DRAWN, KINDS, MICRO, WH_PER_KWH } from "./columns.js";

/* Instants, values and texts of a table's rows, as the plot needs them. Gaps become nulls; one more instant ends the last slot. */
export function timeData(table, kind, stepGiven) {
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
export function meritData(table, labels) {
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
