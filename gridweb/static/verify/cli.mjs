/* Check an electricity bill with Node.js and this folder alone; answers and exit status as the verifier in Python.
 *
 *     node cli.mjs BUNDLE --trust FILE [--with-book FILE] [--json]
 */
import { open } from "node:fs/promises";
import { parseArgs } from "node:util";

import { BAD_USAGE, EXIT_STATUS, plain } from "./answers.mjs";
import { verdictJson, verifyFiles } from "./files.mjs";
import { BOOK_BYTES_MAX } from "./layout.mjs";
import { verdictLines } from "./text.mjs";

const USAGE = "node cli.mjs BUNDLE [--trust FILE] [--with-book FILE] [--json]";
const OPTIONS = { trust: { type: "string" }, "with-book": { type: "string" }, json: { type: "boolean" } };

/** A command line or a file that cannot be used. */
class Unusable extends Error {}

/** The file's bytes, one more than any file may have at most; null without a path. */
async function readFile(path) {
  if (path === undefined) return null;
  try {
    const file = await open(path);
    const chunks = [];
    for await (const chunk of file.createReadStream({ end: BOOK_BYTES_MAX })) chunks.push(chunk);
    return new Uint8Array(Buffer.concat(chunks));
  } catch (why) {
    throw new Unusable(`cannot read ${plain(path)}: ${plain(why.code ?? why.message)}`);
  }
}

function parsed(words) {
  let found = null;
  try {
    found = parseArgs({ args: words, options: OPTIONS, allowPositionals: true });
  } catch (why) {
    throw new Unusable(`${plain(why.message)}; usage: ${USAGE}`);
  }
  if (found.positionals.length !== 1) throw new Unusable(`one bundle; usage: ${USAGE}`);
  return { ...found.values, bundle: found.positionals[0] };
}

/** The verdict on what the words of a command line name. */
async function verdictOn(options) {
  const [bundle, trust, book] = await Promise.all([options.bundle, options.trust, options["with-book"]].map(readFile));
  return verifyFiles(bundle, trust, book, options.trust);
}

/** Answer, and show it; returns the exit status. */
async function main(words) {
  try {
    const options = parsed(words);
    const verdict = await verdictOn(options);
    if (verdict.answer === BAD_USAGE) throw new Unusable(verdict.reason);
    process.stdout.write(`${options.json ? verdictJson(verdict) : verdictLines(verdict).join("\n")}\n`);
    return verdict.exit;
  } catch (why) {
    if (!(why instanceof Unusable)) throw why;
    process.stderr.write(`verify: ${why.message}\n`);
    return EXIT_STATUS[BAD_USAGE];
  }
}

process.stdout.on("error", () => {
  process.stderr.write("verify: the answer cannot be written to the standard output\n");
  process.exit(EXIT_STATUS[BAD_USAGE]);
});
process.exitCode = await main(process.argv.slice(2));
