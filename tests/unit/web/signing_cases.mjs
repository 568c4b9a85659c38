/* Opens a key file and signs contents as the pages do; a JSON object in, one out. Run by test_act_signing.py. */
import { readFileSync } from "node:fs";
import { actContent, orderContent, ruleContent } from "../../../gridweb/static/acts/contents.mjs";
import { countersOf, ruleOf } from "../../../gridweb/static/acts/rules.mjs";
import { openKeyFile } from "../../../gridweb/static/acts/keyfile.mjs";
import { submissionOf } from "../../../gridweb/static/acts/transaction.mjs";
import { hex, utf8 } from "../../../gridweb/static/verify/values.mjs";

const asked = JSON.parse(readFileSync(0, "utf8"), (key, value) => (value?.integer === undefined ? value : BigInt(value.integer)));
const content = () => {
  if (asked.order) return orderContent(asked.order);
  return asked.rule ? ruleContent(asked.rule) : actContent(asked.kind, asked.act);
};
if (asked.form) {
  const rule = ruleOf(asked.form);
  console.log(JSON.stringify({ counters: rule && countersOf(rule), parts: rule?.parts }, (_, value) => (typeof value === "bigint" ? Number(value) : value)));
  process.exit();
}
try {
  const key = await openKeyFile(asked.pem, utf8(asked.password));
  const by = { chain: asked.chain, signer: asked.signer, key };
  const wires = Array.from({ length: asked.times }, () => hex(submissionOf(content(), by, ...asked.words)));
  console.log(JSON.stringify({ publicKey: hex(key.publicKey), wires }));
} catch (why) {
  console.log(JSON.stringify({ word: why.word ?? String(why) }));
}
