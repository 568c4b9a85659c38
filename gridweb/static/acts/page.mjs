/* The forms of a page whose acts are signed: each field that a person fills in says by data-field which one it is. */
import { hex } from "../verify/values.mjs";
import { actContent } from "./contents.mjs";
import { SignedForm, units } from "./form.mjs";
import { submissionOf } from "./transaction.mjs";

const WH_DIGITS = 3; // of a kWh

/** What the form says: { signer, given }; null where a field is not well-formed. */
function read(form) {
  const given = {};
  for (const field of form.querySelectorAll("[data-field]")) {
    const text = field.value.trim();
    given[field.dataset.field] = field.dataset.unit === "kwh" ? units(text, WH_DIGITS) : text;
  }
  if (Object.values(given).some((value) => value === null || value === "")) return null;
  const signer = form.dataset.signer ?? given.signer;
  return { signer, given };
}

/** Signs what the form says and sends it. */
function sent(form, sending, { signer, given }, key) {
  const { act: kind, chain, fixed, validUntil } = form.dataset;
  const said = JSON.stringify([kind, signer, hex(key.publicKey), fixed, given], (_, value) => (typeof value === "bigint" ? `${value}` : value));
  const words = given.statement === undefined ? [] : [given.statement];
  const make = () => submissionOf(actContent(kind, { fixed: JSON.parse(fixed), given, validUntil }), { chain, signer, key }, ...words);
  return sending.send(said, make);
}

/** Where the site keeps no words, their writer does: trimmed, as their SM3 is taken. */
function save(form) {
  const words = new Blob([form.querySelector("[data-field=statement]").value.trim()], { type: "text/plain" });
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(words), download: "statement.txt" });
  link.click();
  URL.revokeObjectURL(link.href);
}

for (const form of document.querySelectorAll("form[data-act]")) {
  new SignedForm(form, { read, send: (sending, said, key) => sent(form, sending, said, key) });
  form.querySelector("[data-save]")?.addEventListener("click", () => save(form));
}
