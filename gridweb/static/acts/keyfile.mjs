/* An SM2 private key out of an encrypted PEM file (PKCS #8 by PBES2: PBKDF2 and SM4-CBC), as gridcore/sm/keystore.py writes and reads it.
 * It is opened in this browser; nothing of it leaves. CBC has no tag: a wrong password shows as broken padding or structure. */
import { hex, integerOf } from "../verify/values.mjs";
import { derivedBySha256, derivedBySm3 } from "./derivation.mjs";
import { publicKeyOf } from "./signing.mjs";
import { decryptCbc } from "./sm4.mjs";

const FILE_BYTES_MAX = 16384;
const ITERATIONS_MAX = 1000000; // about 15 s in a browser
const SALT_BYTES_MAX = 1024;
const BLOCK_BYTES = 16;
const SCALAR_BYTES = 32;
const PEM = /^\s*-----BEGIN ENCRYPTED PRIVATE KEY-----\s*\n([A-Za-z0-9+/=\s]*)-----END ENCRYPTED PRIVATE KEY-----\s*$/;
const [INTEGER, BIT_STRING, OCTET_STRING, NAME, SEQUENCE, CONTEXT_0, CONTEXT_1] = [2, 3, 4, 6, 0x30, 0xa0, 0xa1];
const PBES2 = "2a864886f70d01050d";
const PBKDF2 = "2a864886f70d01050c";
const SM4_CBC = "2a811ccf55016802";
const EC_PUBLIC_KEY = "2a8648ce3d0201";
const SM2_CURVE = "2a811ccf5501822d";
const DERIVATIONS = { "2a811ccf5501831102": derivedBySm3, "2a864886f70d0209": derivedBySha256 };

/** `word`: "file" (none of ours, or damaged), "scheme" (encrypted in another way), "password" or "key" (no SM2 key). */
export class KeyFileError extends Error {
  constructor(word) {
    super(word);
    this.word = word;
  }
}

const hold = (isTrue, word) => {
  if (!isTrue) throw new KeyFileError(word);
};

/** DER (X.690), definite lengths in their shortest form; what is wrong with it is an error of `word`. */
class Der {
  constructor(bytes, word) {
    this.bytes = bytes;
    this.word = word;
    this.at = 0;
  }

  get next() {
    return this.bytes[this.at];
  }

  read(tag) {
    hold(this.next === tag, this.word);
    let length = this.bytes[this.at + 1];
    let start = this.at + 2;
    if (length > 0x7f) {
      const width = length - 0x80;
      hold(width === 1 || width === 2, this.word);
      length = Number(integerOf(this.bytes.subarray(start, start + width)));
      start += width;
      hold(length >= (width === 1 ? 0x80 : 0x100), this.word);
    }
    this.at = start + length;
    hold(this.at <= this.bytes.length, this.word);
    return this.bytes.subarray(start, this.at);
  }

  inside(tag) {
    return new Der(this.read(tag), this.word);
  }

  name() {
    return hex(this.read(NAME));
  }

  end() {
    hold(this.at === this.bytes.length, this.word);
  }
}

/** The key in the text of a file, under a password in bytes: { scalar, publicKey }. KeyFileError says in a word what is wrong. */
export async function openKeyFile(text, password) {
  hold(text.length <= FILE_BYTES_MAX, "file");
  const found = PEM.exec(text);
  hold(found !== null, "file");
  const scheme = schemeOf(decoded(found[1]));
  const key = await scheme.derive(password, scheme.salt, scheme.iterations);
  const padded = decryptCbc(key, scheme.vector, scheme.encrypted);
  const padding = padded.at(-1);
  hold(padding >= 1 && padding <= BLOCK_BYTES && padded.subarray(-padding).every((byte) => byte === padding), "password");
  return keyOf(padded.subarray(0, -padding));
}

function decoded(base64) {
  try {
    return Uint8Array.from(atob(base64.replace(/\s/g, "")), (letter) => letter.charCodeAt(0));
  } catch {
    throw new KeyFileError("file");
  }
}

function schemeOf(bytes) {
  const outer = new Der(bytes, "file");
  const info = outer.inside(SEQUENCE);
  outer.end();
  const algorithm = info.inside(SEQUENCE);
  const encrypted = info.read(OCTET_STRING);
  info.end();
  hold(algorithm.name() === PBES2, "scheme");
  const parts = algorithm.inside(SEQUENCE);
  const [derivation, cipher] = [parts.inside(SEQUENCE), parts.inside(SEQUENCE)];
  hold(derivation.name() === PBKDF2 && cipher.name() === SM4_CBC, "scheme");
  const vector = cipher.read(OCTET_STRING);
  hold(vector.length === BLOCK_BYTES && encrypted.length > 0 && encrypted.length % BLOCK_BYTES === 0, "file");
  return { vector, encrypted, ...derivationOf(derivation.inside(SEQUENCE)) };
}

function derivationOf(parameters) {
  const salt = parameters.read(OCTET_STRING);
  const iterations = Number(integerOf(parameters.read(INTEGER)));
  hold(salt.length >= 1 && salt.length <= SALT_BYTES_MAX && iterations >= 1, "file");
  hold(iterations <= ITERATIONS_MAX, "scheme");
  if (parameters.next === INTEGER) hold(Number(integerOf(parameters.read(INTEGER))) === BLOCK_BYTES, "file");
  hold(parameters.next === SEQUENCE, "scheme"); // without it, HMAC-SHA-1 is meant
  const derive = DERIVATIONS[parameters.inside(SEQUENCE).name()];
  hold(derive !== undefined, "scheme");
  return { salt, iterations, derive };
}

function keyOf(plain) {
  const outer = new Der(plain, "password");
  const info = outer.inside(SEQUENCE);
  outer.end();
  info.read(INTEGER);
  const algorithm = info.inside(SEQUENCE);
  const fields = info.inside(OCTET_STRING).inside(SEQUENCE);
  hold(algorithm.name() === EC_PUBLIC_KEY && algorithm.name() === SM2_CURVE, "key");
  hold(integerOf(fields.read(INTEGER)) === 1n, "key");
  const secret = fields.read(OCTET_STRING);
  hold(secret.length === SCALAR_BYTES, "key");
  const scalar = integerOf(secret);
  const publicKey = publicKeyOf(scalar);
  hold(publicKey !== null, "key");
  if (fields.next === CONTEXT_0) hold(fields.inside(CONTEXT_0).name() === SM2_CURVE, "key");
  if (fields.next === CONTEXT_1) hold(hex(fields.inside(CONTEXT_1).read(BIT_STRING)) === `00${hex(publicKey)}`, "key");
  fields.end(); // an altered tag would leave the public key unread, and another scalar unnoticed
  return { scalar, publicKey };
}
