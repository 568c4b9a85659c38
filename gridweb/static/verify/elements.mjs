/* Elements of a page. Nothing here takes markup: what comes out of a file is only ever text. */

/** An element with attributes and children (elements or texts; null and "" are left out). */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(key, value);
  made.append(...children.flat().filter((child) => child !== null && child !== ""));
  return made;
}

/** A text of the page's language with `%(name)s` filled in. */
export const filled = (text, values) => text.replace(/%\((\w+)\)s/g, (_, name) => String(values[name]));

const SIGNS_OF_STATES = { good: "✓", warn: "▲", bad: "✕", idle: "○" };

/** A state with its sign, so that none is told by colour alone. */
export const badge = (state, text) =>
  element("span", { class: `badge ${state}` }, element("span", { "aria-hidden": "true" }, SIGNS_OF_STATES[state]), ` ${text}`);

/** The texts in the page's language that an element carries. */
export const wordsOf = (carrier) => JSON.parse(carrier.dataset.words);
