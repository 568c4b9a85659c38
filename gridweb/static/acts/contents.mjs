/* What transactions of each kind say (docs/spec/envelope.md): { kind, identity, body }. Integers are bigints. Each is made once and may be
 * sent again; what draws random bytes here names the transaction. */
import { sm3 } from "../verify/sm3.mjs";
import { fromHex, utf8 } from "../verify/values.mjs";

const ID_BYTES = 16;

const drawn = () => crypto.getRandomValues(new Uint8Array(ID_BYTES));
const clientNamed = (validUntil) => ({ client_id: drawn(), valid_until_s: BigInt(validUntil) });

const QUANTITY_BYTES = 4;

/** order: { area, counter, price, quantity, side, slotStart }, in the ledger's units; of a bid that prefers something also `conditions`. */
export const orderContent = (order) => ({
  kind: "market/order",
  identity: { counter: order.counter, nonce: drawn(), slot_start_s: order.slotStart },
  body: {
    area: order.area,
    price_micro_per_kwh: order.price,
    quantity_wh: order.quantity,
    side: order.side,
    ...(order.conditions ? { conditions: order.conditions } : {}),
  },
});

function quantityBytes(quantity) {
  const bytes = new Uint8Array(QUANTITY_BYTES);
  new DataView(bytes.buffer).setUint32(0, Number(quantity), true);
  return bytes;
}

const partValue = ({ conditions, price, quantity, side }) =>
  conditions
    ? { conditions: conditions.map(({ energy_wh, ...said }) => ({ ...said, quantities_wh: quantityBytes(energy_wh) })), side }
    : { price_micro_per_kwh: price, quantities_wh: quantityBytes(quantity), side };

/** rule: { area, counter, end, parts, slotStart }; a part, { price, quantity, side }, is the same in every slot; one that prefers
 * something is { conditions, side }, with the conditions of an order. */
export const ruleContent = (rule) => ({
  kind: "market/profile",
  identity: { counter: rule.counter, nonce: drawn(), slot_start_s: rule.slotStart },
  body: {
    area: rule.area,
    end_s: rule.end,
    parts: rule.parts.map(partValue),
  },
});

/** Identity and body of what withdraws. */
const WITHDRAWALS = {
  "market/cancel": (fixed, given) => ({
    identity: { nonce: drawn(), slot_start_s: BigInt(fixed.slot_start_s) },
    body: { area: fixed.area, counters: [BigInt(given.counter)] },
  }),
  "market/profile_end": (fixed, given) => {
    const [slotStart, counter] = given.rule.split("/").map(BigInt);
    return { identity: { counter, nonce: drawn(), slot_start_s: slotStart }, body: { area: fixed.area } };
  },
};

const dispute = (fixed, given) => ({
  ground: given.ground,
  line_kind: fixed.line_kind,
  point: fixed.point,
  run: fixed.run,
  slot_start_s: BigInt(fixed.slot_start_s),
  statement: sm3(utf8(given.statement)),
});

const documentDispute = (fixed, given) => ({
  amount_nano: BigInt(fixed.amount_nano),
  ground: given.ground,
  line_kind: fixed.line_kind,
  month: fixed.month,
  part: fixed.part,
  statement: sm3(utf8(given.statement)),
});

const step = (fixed, given) => ({ dispute: fromHex(fixed.dispute), outcome: given.outcome, statement: sm3(utf8(given.statement)) });

const approval = (fixed, given) => ({
  boundary_s: BigInt(fixed.boundary_s),
  installation: BigInt(fixed.installation),
  reason: given.reason,
  registers: [given.import, given.export],
});

const BODIES = {
  "metering/approve": approval,
  "settlement/dispute": dispute,
  "settlement/dispute_document": documentDispute,
  "settlement/dispute_answer": step,
  "settlement/dispute_decision": step,
  "settlement/dispute_withdrawal": step,
};

/** An act of a page's form. fixed: what the page says of it, as JSON gives it; given: what the person filled in, texts and bigints. */
export const actContent = (kind, { fixed, given, validUntil }) => ({
  kind,
  ...(WITHDRAWALS[kind]?.(fixed, given) ?? { identity: clientNamed(validUntil), body: BODIES[kind](fixed, given) }),
});
