// What a prompt says is said again: see chargen/generation/recall.py.

const LONGEST = 8, OF_KINDS = 50, OF_COUNT = 10, LAST = 1 << 16;

export class Recall {
  /** prompt: its pieces; strength: the option recall. */
  constructor(prompt, strength) {
    this.prompt = prompt.slice(-LAST);
    this.strength = strength;
    this.on = strength > 0 && prompt.length > 1;
    this.last = [];
  }

  note(piece) {
    this.last.push(piece);
    if (this.last.length > LONGEST) this.last.shift();
  }

  /** Mix what the prompt says into probabilities, in place. */
  mix(p) {
    const said = [];
    let places = Array.from({length: this.prompt.length - 1}, (_, n) => n + 1);
    for (let k = 1; k <= this.last.length; k++) {
      const wanted = this.last.at(-k);
      places = places.filter(place => place >= k && this.prompt[place - k] === wanted);
      if (!places.length) break;
      const counts = new Map();
      for (const place of places)
        counts.set(this.prompt[place], (counts.get(this.prompt[place]) ?? 0) + 1);
      const prior = (OF_KINDS * counts.size + OF_COUNT / k * places.length) / (k * this.strength);
      said.push({counts, one: 1 / (places.length + prior), rest: prior / (places.length + prior)});
    }
    let left = 1;
    const added = new Map();
    for (const {counts, one, rest} of said.reverse()) {
      for (const [piece, count] of counts) added.set(piece, (added.get(piece) ?? 0) + count * one * left);
      left *= rest;
    }
    for (let n = 0; n < p.length; n++) p[n] *= left;
    for (const [piece, value] of added) p[piece] += value;
  }
}
