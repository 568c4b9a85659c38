/* A transaction (docs/spec/envelope.md): canonical CBOR, signed. Its fields are bigints, texts, bytes, and arrays and maps of them. */
import { encode, encodeMap } from "../verify/cbor.mjs";
import { signed } from "./signing.mjs";

const encodeFields = (fields) => encodeMap(Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, encode(value)])));

/** What the pages are sent: an array of one transaction, and of the words whose SM3 it holds, where it does.
 * content: { kind, identity, body } (contents.mjs); key: of openKeyFile. */
export function submissionOf({ kind, identity, body }, { chain, signer, key }, ...words) {
  const content = encodeMap({
    body: encodeFields(body),
    chain: encode(chain),
    identity: encodeFields(identity),
    kind: encode(kind),
    signer: encode(signer),
    type: encode("transaction"),
    version: encode(1n),
  });
  return encode([encode([content, signed(key, content), new Uint8Array()]), ...words]);
}
