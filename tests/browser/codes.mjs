// What somebody signs in with in tests: the password of every account, and the codes of an authenticator app.

import { createHmac } from 'node:crypto';

export const PASSWORD = 'warm rain on tin roofs';

// RFC 6238 once more, so that the server's own arithmetic is not asked about itself.
export class Codes {
  constructor(base32) {
    const bits = [...base32].map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0'));
    const bytes = bits.join('').match(/.{8}/g);
    this.key = Buffer.from(bytes.map((byte) => parseInt(byte, 2)));
    this.used = 0;
  }

  // A code that was not given before: of the step before this one, of this one, of the next one, and then of whatever is next.
  async next() {
    const step = () => Math.floor(Date.now() / 30_000);
    const wanted = Math.max(this.used + 1, step() - 1);
    while (wanted > step() + 1) await new Promise((resolve) => setTimeout(resolve, 500));
    this.used = wanted;
    const counter = Buffer.alloc(8);
    counter.writeBigUInt64BE(BigInt(wanted));
    const digest = createHmac('sha1', this.key).update(counter).digest();
    const offset = digest[19] & 15;
    return String((digest.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0');
  }
}
