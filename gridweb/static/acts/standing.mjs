/* The form that makes a standing rule. */
import { ruleContent } from "./contents.mjs";
import { SignedForm } from "./form.mjs";
import { placed } from "./placing.mjs";
import { countersOf, ruleOf } from "./rules.mjs";

for (const form of document.querySelectorAll("form[data-standing]")) {
  const { chain, party, counterMax } = form.dataset;
  new SignedForm(form, {
    read: ruleOf,
    send: (sending, rule, key) => {
      const last = Number(counterMax) + 1 - countersOf(rule);
      return placed(sending, rule, { chain, signer: party, key, first: 1, last }, ruleContent);
    },
  });
}
