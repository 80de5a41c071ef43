// From probabilities to a drawn piece, as chargen.generation does it.

const BLOCK = 64;

/** Numbers in [0, 1), the n-th a function of seed and n: Philox 4×64, as in NumPy. */
export class Uniforms {
  constructor(seed) {
    this.key = BigInt.asUintN(64, BigInt(seed));
    this.count = 0;
    this.ready = [];
  }

  next() {
    if (!this.ready.length) this.ready = philox(BigInt(++this.count), this.key);
    return Number(this.ready.shift() >> 12n) * 2 ** -52;
  }
}

function philox(counter, key) {
  const word = number => BigInt.asUintN(64, number);
  let x = [counter, 0n, 0n, 0n], keys = [key, 0n];
  for (let round = 0; round < 10; round++) {
    const one = 0xD2E7470EE14C6C93n * x[0], two = 0xCA5A826395121157n * x[2];
    x = [two >> 64n ^ x[1] ^ keys[0], word(two), one >> 64n ^ x[3] ^ keys[1], word(one)];
    keys = [word(keys[0] + 0x9E3779B97F4A7C15n), word(keys[1] + 0xBB67AE8584CAA73Bn)];
  }
  return x;
}

/** Top-k, then top-p, then min-p: what is dropped becomes 0, in place. Equals are kept together. */
export function limit(p, {top_k: most = 0, top_p: share = 1, min_p: least = 0}) {
  if (most || share < 1) {
    const sorted = p.slice().sort().reverse(), sum = numbers => numbers.reduce((a, b) => a + b, 0);
    const floor = most ? sorted[Math.min(most, sorted.length) - 1] : 0;
    const kept = sorted.subarray(0, most ? sorted.findLastIndex(each => each >= floor) + 1 : sorted.length);
    let reached = 0, n = 0;
    const wanted = share * sum(kept);
    if (share < 1) while (n < kept.length - 1 && (reached += kept[n]) < wanted) n++;
    drop(p, share < 1 ? Math.max(floor, kept[n]) : floor);
  }
  if (least) drop(p, Math.fround(p.reduce((a, b) => Math.max(a, b)) * Math.fround(least)));
}

function drop(p, floor) {
  for (let n = 0; n < p.length; n++) if (p[n] < floor) p[n] = 0;
}

/** The inverse of the cumulative distribution of weights p, whose length is a multiple of 64. */
export function draw(p, u) {
  const reached = [0];
  for (let start = 0; start < p.length; start += BLOCK) {
    let sum = 0;
    for (let n = start; n < start + BLOCK; n++) sum += p[n];
    reached.push(reached.at(-1) + Math.fround(sum));
  }
  const target = reached.at(-1) * u;
  let block = reached.findIndex(sum => sum > target) - 1;
  if (block < 0) block = reached.length - 2;
  const within = [];
  let sum = 0;
  for (let n = 0; n < BLOCK; n++) within.push(sum += p[block * BLOCK + n]);
  const rest = Math.min(target - reached[block], sum * (1 - 2 ** -50));
  return block * BLOCK + within.findIndex(each => each > rest);
}

const [, IN_WORD, MARK, BYTE] = [0, 1, 2, 3];
const LONGEST = 255, SPARED = 32, MOST = 30;

/** What would prolong a repetition: see chargen/generation/loops.py. */
export class Loops {
  constructor(kinds, temperature, {loop_penalty: penalty, loop_length: free, loop_window: window}) {
    this.kinds = kinds;
    this.strength = penalty * Math.max(0, 1 - temperature);
    this.free = Math.min(free, LONGEST);
    this.width = Math.max(2, window);
    this.window = window;
    this.past = new Array(this.width).fill(-1);
    this.lengths = new Uint8Array(this.width - 1);
  }

  note(piece) {
    if (!this.strength) return;
    this.past.push(piece);
    this.past.shift();
    for (let n = 0; n < this.lengths.length; n++)
      this.lengths[n] = this.past[n] === piece ? Math.min(this.lengths[n], LONGEST - 1) + 1 : 0;
  }

  /** The nats that pieces pay for going on with a repetition: a Map. */
  penalties() {
    const found = new Map();
    if (!this.strength) return found;
    const inWord = this.kinds[this.past.at(-1)] === IN_WORD;
    for (let n = this.width - this.window; n < this.lengths.length; n++) {
      if (this.lengths[n] < this.free) continue;
      const piece = this.past[n + 1], kind = this.kinds[piece];
      const spared = kind === MARK || (kind === IN_WORD && inWord);
      const beyond = this.lengths[n] - (spared ? Math.max(SPARED, this.free) : this.free) + 1;
      if (kind === BYTE || beyond <= 0) continue;
      const nats = Math.min(this.strength * beyond, MOST);
      found.set(piece, Math.max(nats, found.get(piece) ?? 0));
    }
    return found;
  }
}

/** Which bytes may follow the first ones of a UTF-8 character: [least, most]. */
export function bytesAfter(begun) {
  if (!begun.length) return null;
  const special = {0xE0: [0xA0, 0xBF], 0xED: [0x80, 0x9F], 0xF0: [0x90, 0xBF], 0xF4: [0x80, 0x8F]};
  return begun.length > 1 ? [0x80, 0xBF] : special[begun[0]] ?? [0x80, 0xBF];
}

/** Whether a byte may begin a UTF-8 character. */
export const mayBegin = byte => byte < 0x80 || (byte >= 0xC2 && byte <= 0xF4);
