/* The page that checks files which somebody drops on it: bundle, trust root and, if there is one, the order book. Nothing leaves the
 * browser: the files are read here, and the verdict is made here. */
import { element, filled, wordsOf } from "./elements.mjs";
import { verifyFiles } from "./files.mjs";
import { BOOK_BYTES_MAX } from "./layout.mjs";
import { billOf, verdictCard } from "./verdict-card.mjs";

/** What a dropped file is, by the end of its name: the input that takes it. */
const INPUTS = { ".evd": "bundle", ".json": "trust", ".book": "book" };

class FileForm {
  constructor(form) {
    this.form = form;
    this.words = wordsOf(form);
    form.addEventListener("change", () => this.show());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.answer();
    });
    form.addEventListener("dragover", (event) => {
      event.preventDefault();
      form.classList.add("over");
    });
    form.addEventListener("dragleave", () => form.classList.remove("over"));
    form.addEventListener("drop", (event) => {
      event.preventDefault();
      this.drop(event.dataTransfer.files);
    });
  }

  input(name) {
    return this.form.querySelector(`input[name=${name}]`);
  }

  /** Give each dropped file to its input, which shows its name. */
  drop(files) {
    this.form.classList.remove("over");
    this.show();
    for (const file of files) {
      const end = Object.keys(INPUTS).find((one) => file.name.endsWith(one));
      if (end === undefined) this.complain(filled(this.words.unknown_file, { name: file.name }));
      else this.input(INPUTS[end]).files = listOf(file);
    }
  }

  show(...parts) {
    this.form.parentElement.querySelector("[data-verdict]").replaceChildren(...parts.filter((part) => part !== null));
  }

  complain(text) {
    this.show(element("p", { class: "note", role: "alert" }, text));
  }

  async answer() {
    const [bundle, trust, book] = Object.values(INPUTS).map((name) => this.input(name).files[0] ?? null);
    if (bundle === null) {
      this.complain(this.words.no_bundle);
      return;
    }
    const contents = await Promise.all([bundle, trust, book].map(bytesOfFile));
    const chosen = Object.values(INPUTS).map((name) => this.input(name).files[0] ?? null);
    if ([bundle, trust, book].some((file, at) => file !== chosen[at])) return; // other files stand there now
    const verdict = verifyFiles(...contents, trust?.name);
    this.show(verdictCard(verdict, this.words, false), billOf(verdict, this.words));
  }
}

/** What an input takes: a list of one file. */
function listOf(file) {
  const transfer = new DataTransfer();
  transfer.items.add(file);
  return transfer.files;
}

/** The bytes of a file, one more than any file may have at most; null of none. */
async function bytesOfFile(file) {
  return file === null ? null : new Uint8Array(await file.slice(0, BOOK_BYTES_MAX + 1).arrayBuffer());
}

for (const form of document.querySelectorAll("form[data-words]")) new FileForm(form);
