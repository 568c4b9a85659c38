/* Rows of a tree: fields of fixed widths, little-endian, one behind the other. */
import { range } from "./values.mjs";

const COLUMN_BYTES = 8;
const FIELDS = {
  u8: { width: 1, read: (view, at) => BigInt(view.getUint8(at)) },
  u16: { width: 2, read: (view, at) => BigInt(view.getUint16(at, true)) },
  i32: { width: 4, read: (view, at) => BigInt(view.getInt32(at, true)) },
  u32: { width: 4, read: (view, at) => BigInt(view.getUint32(at, true)) },
  i64: { width: 8, read: (view, at) => view.getBigInt64(at, true) },
  u64: { width: 8, read: (view, at) => view.getBigUint64(at, true) },
  digest: { width: 32, read: (view, at) => new Uint8Array(view.buffer, view.byteOffset + at, 32) },
};

/** The layout of a row. `fields`: names with their types, in the row's order. */
export class RowLayout {
  constructor(fields) {
    this.fields = Object.entries(fields).map(([name, type]) => ({ name, ...FIELDS[type] }));
    this.size = this.fields.reduce((size, field) => size + field.width, 0);
  }

  /** The row's fields by name; what stands behind them is left. */
  unpack(row) {
    const view = new DataView(row.buffer, row.byteOffset, row.length);
    const values = {};
    let at = 0;
    for (const { name, width, read } of this.fields) {
      values[name] = read(view, at);
      at += width;
    }
    return values;
  }

  /** What stands behind the fields: columns of eight bytes. */
  columnsBehind(row) {
    return columnsOf(row.subarray(this.size));
  }
}

/** Signed integers of eight bytes each. */
export function columnsOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return range(Math.floor(bytes.length / COLUMN_BYTES)).map((at) => view.getBigInt64(COLUMN_BYTES * at, true));
}
