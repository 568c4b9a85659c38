/* "Verify now" of a bill line: fetches the line's bundle and the trust root, and makes the verdict in the browser. Without scripts
 * the form asks the server. */
import { element, wordsOf } from "./elements.mjs";
import { verifyFiles } from "./files.mjs";
import { verdictCard } from "./verdict-card.mjs";

async function fetched(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

async function answer(form, words) {
  const place = document.getElementById("verdict");
  const button = form.querySelector("button");
  button.setAttribute("aria-busy", "true");
  try {
    const [bundle, trust] = await Promise.all([form.dataset.bundle, form.dataset.trust].map(fetched));
    const verdict = verifyFiles(bundle, trust, null);
    place.replaceChildren(element("div", { role: "status" }, verdictCard(verdict, words)));
  } catch (why) {
    place.replaceChildren(element("p", { class: "outage", role: "alert" }, `${words.not_fetched} ${why.message}`));
  } finally {
    button.removeAttribute("aria-busy");
  }
}

for (const form of document.querySelectorAll("form[data-bundle]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    answer(form, wordsOf(form));
  });
}
