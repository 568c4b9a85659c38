/* Hash trees (RFC 9162 section 2.1 over SM3). */
import { sm3 } from "./sm3.mjs";
import { joined } from "./values.mjs";

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** The hash of a leaf; that of a salted row: of salt || row. */
export const leafHash = (leaf) => sm3(joined(LEAF, leaf));

export const nodeHash = (left, right) => sm3(joined(NODE, left, right));

/** The root that `leaf` and its path lead to. */
export const rootOfPath = (leaf, path) => foldPath(leafHash(leaf), path);

/** The root above a hash: each item of a path is the sibling's side (00 left, 01 right) and its digest. */
export function foldPath(start, path) {
  return path.reduce((current, item) => {
    const sibling = item.subarray(1);
    return item[0] ? nodeHash(current, sibling) : nodeHash(sibling, current);
  }, start);
}

/** Root of a whole tree; an odd last node is handed up unchanged. */
export function rootOfLeaves(leaves) {
  let level = leaves.map(leafHash);
  while (level.length > 1) {
    const above = [];
    for (let at = 0; at + 1 < level.length; at += 2) above.push(nodeHash(level[at], level[at + 1]));
    level = level.length % 2 ? [...above, level.at(-1)] : above;
  }
  return level[0] ?? sm3(new Uint8Array());
}
