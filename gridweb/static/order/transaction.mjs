/* market/order as a transaction (docs/spec/envelope.md): canonical CBOR, signed. Integers are bigints. */
import { encode, encodeMap } from "../verify/cbor.mjs";
import { signed } from "./signing.mjs";

const NONCE_BYTES = 16;

/** What a node is sent: an array of one transaction. order: { area, counter, price, quantity, side, slotStart }, in the ledger's units. */
export function submissionOf(order, { chain, party, key }) {
  const identity = encodeMap({
    counter: encode(order.counter),
    nonce: encode(crypto.getRandomValues(new Uint8Array(NONCE_BYTES))),
    slot_start_s: encode(order.slotStart),
  });
  const body = encodeMap({
    area: encode(order.area),
    price_micro_per_kwh: encode(order.price),
    quantity_wh: encode(order.quantity),
    side: encode(order.side),
  });
  const content = encodeMap({
    body,
    chain: encode(chain),
    identity,
    kind: encode("market/order"),
    signer: encode(party),
    type: encode("transaction"),
    version: encode(1n),
  });
  return encode([encode([content, signed(key, content), new Uint8Array()])]);
}
