/* A form that is signed: opens the key file in this browser, has the content signed and sent, and says in one line what became of it. */
import { wordsOf } from "../verify/elements.mjs";
import { utf8 } from "../verify/values.mjs";
import { KeyFileError, openKeyFile } from "./keyfile.mjs";
import { Sending } from "./sending.mjs";

const CBOR_TYPE = "application/cbor";
const SHOWN_MS = 1500; // how long the answer is shown before the page goes on

/** A decimal of at most so many digits behind the point, in units of its last one; null for anything else. */
export function units(text, digits) {
  const found = /^(\d{1,9})(?:[.,](\d+))?$/.exec(text.trim());
  if (found === null || (found[2] ?? "").length > digits) return null;
  return BigInt(found[1] + (found[2] ?? "").padEnd(digits, "0"));
}

export class SignedForm {
  /** read(form): what it says, null where that is not well-formed; send(sending, said, key): a promise of the answer of the pages. */
  constructor(form, { read, send }) {
    this.form = form;
    this.read = read;
    this.send = send;
    this.words = wordsOf(form);
    this.note = form.querySelector(".said");
    this.button = form.querySelector("[type=submit]");
    this.sending = new Sending((body) => posted(form.dataset.post ?? location.pathname, body));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.button.hasAttribute("aria-busy")) this.act();
    });
  }

  say(text, state = "") {
    this.note.className = `said ${state}`;
    this.note.textContent = text;
  }

  async act() {
    const said = this.read(this.form);
    if (said === null) return this.say(this.words.amounts, "bad");
    const [file, password] = [this.form.querySelector("[type=file]"), this.form.querySelector("[type=password]")];
    this.button.setAttribute("aria-busy", "true");
    try {
      this.say(this.words.opening);
      const key = await openKeyFile(await file.files[0].text(), utf8(password.value));
      this.say(this.words.sending);
      const answer = await this.send(this.sending, said, key);
      this.say(answer.words, answer.is_taken ? "good" : "bad");
      if (answer.is_taken) setTimeout(() => location.assign(answer.next), SHOWN_MS);
    } catch (why) {
      this.say(why instanceof KeyFileError ? this.words[why.word] : `${this.words.unanswered} ${why.message}`, "bad");
    } finally {
      password.value = "";
      this.button.removeAttribute("aria-busy");
    }
    return undefined;
  }
}

async function posted(address, body) {
  const token = document.querySelector("meta[name=form-token]").content;
  const headers = { "Content-Type": CBOR_TYPE, "X-Form-Token": token, Accept: "application/json" };
  const answer = await fetch(address, { method: "POST", headers, body });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.detail ?? answer.statusText);
  return found;
}
