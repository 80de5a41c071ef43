// A model that writes: the network, the counts, the pieces and the draw together.

import {KneserNey} from './ngrams.js';
import {before, placesOf} from './forms.js';
import {Network, softmax} from './network.js';
import {Recall} from './recall.js';
import {Loops, Uniforms, bytesAfter, draw, limit, mayBegin} from './sampling.js';

const SHOWN = 8;

export class Writer {
  /** described: model.json; weights and counts: from readTensors, counts may be missing. */
  constructor(described, weights, counts) {
    this.described = described;
    this.network = new Network(described.step, weights);
    this.counts = counts && new KneserNey(counts);
    const {pieces, bytes, never, kinds} = described.tokens;
    this.size = pieces.length;
    this.kinds = [...kinds].map(Number);
    this.ids = new Map(pieces.map((piece, id) => [piece, id]).filter(([piece]) => piece));
    this.byteOf = new Map(bytes.map((id, byte) => [id, byte]));
    this.atStart = [...never, ...bytes.filter((_, byte) => !mayBegin(byte))];
    this.all = [...pieces.keys()];
    this.own = new Float64Array(this.size);
    this.counted = new Float64Array(this.size);
    this.recalled = new Float64Array(this.size);
    this.p = new Float32Array(Math.ceil((this.size + 1) / 64) * 64);
  }

  /** The pieces of a text; unknown: characters that the model can't read. */
  encode(text) {
    const {bytes} = this.described.tokens, ids = [], unknown = [];
    for (const character of text) {
      if (this.ids.has(character)) ids.push(this.ids.get(character));
      else if (bytes.length) ids.push(...Array.from(new TextEncoder().encode(character), b => bytes[b]));
      else unknown.push(character);
    }
    return {ids, unknown};
  }

  /** The vector that chosen labels make: {key: value}. */
  labelled(chosen = {}) {
    return Object.entries(this.described.labels).flatMap(([key, values]) =>
      values.map(value => Number(chosen[key] === value)));
  }

  /**
   * Write a text, a step at a time: yields {text, pieces, alternatives, gate} for each character,
   * where alternatives are the likeliest pieces before it and their probabilities.
   *
   * limits: top_k, top_p, min_p. form: {name, acrostic}; the length is the form's then.
   * taken: pieces to begin with, after the prompt; they use up their random numbers.
   */
  * write({prompt, seed, temperature, length, labels, form, taken = [], ...limits}) {
    const {newline, end} = this.described.tokens, waiting = [...taken];
    const uniforms = new Uniforms(seed);
    const places = form && placesOf(form, this.described.tokens);
    const {sampling} = this.described, read = this.encode(before(prompt, form)).ids;
    const loops = new Loops(this.kinds, temperature, sampling);
    const recall = new Recall(read, sampling.recall);
    this.network.begin(this.labelled(labels));
    this.counts?.begin();
    // A text that ends by itself has begun after as many newlines as a context has pieces.
    for (let n = this.counts?.state.length; end >= 0 && n > 1; n--) this.counts.read(newline);
    for (const piece of [newline, ...read]) this.read(piece, loops, recall);
    for (let written = 0; written < (places?.length ?? length);) {
      const pieces = [], begun = [], allowed = places?.[written];
      let text = '', first;
      while (!text) {
        this.predict();
        first ??= {alternatives: this.alternatives(allowed), gate: this.network.gate?.[0]};
        const u = uniforms.next();
        const piece = waiting.length ? waiting.shift()
          : this.drawn(u, {temperature, limits, loops, recall, begun, allowed});
        if (piece === end) return;
        pieces.push(piece);
        this.read(piece, loops, recall);
        text = this.character(piece, begun);
      }
      written++;
      yield {text, pieces, ...first};
    }
  }

  read(piece, loops, recall) {
    this.network.read(piece);
    this.counts?.read(piece);
    loops.note(piece);
    recall.note(piece);
  }

  /** The model's own probabilities of the next piece, into own. */
  predict() {
    this.own.set(this.network.logits);
    softmax(this.own);
    if (!this.counts) return;
    const share = this.network.gate[0];
    this.counts.row(this.counted);
    for (let n = 0; n < this.size; n++)
      this.own[n] = share * this.own[n] + (1 - share) * this.counted[n];
  }

  /** The likeliest pieces, of all or of those that are allowed: [[piece, probability], …]. */
  alternatives(allowed = this.all) {
    const best = [];
    for (const n of allowed) {
      if (best.length === SHOWN && this.own[n] <= best[SHOWN - 1][1]) continue;
      best.push([n, this.own[n]]);
      best.sort((a, b) => b[1] - a[1]);
      best.length = Math.min(best.length, SHOWN);
    }
    return best;
  }

  /** Draw from own: recall, masks, loop penalty, temperature, limits, draw. */
  drawn(u, {temperature, limits, loops, recall, begun, allowed}) {
    this.recalled.set(this.own);
    if (recall.on) recall.mix(this.recalled);
    const asLogits = !this.counts && !recall.on;
    const {bytes} = this.described.tokens, range = bytesAfter(begun), p = this.p.fill(-Infinity);
    if (allowed) for (const n of allowed) p[n] = this.score(n, asLogits);
    else if (range) for (let byte = range[0]; byte <= range[1]; byte++) p[bytes[byte]] = this.score(bytes[byte], asLogits);
    else {
      for (let n = 0; n < this.size; n++) p[n] = this.score(n, asLogits);
      for (const n of this.atStart) p[n] = -Infinity;
    }
    for (const [piece, nats] of loops.penalties()) p[piece] -= nats;
    if (!temperature) return p.indexOf(p.reduce((a, b) => Math.max(a, b)));
    const inverse = Math.fround(1 / temperature);
    for (let n = 0; n < p.length; n++) p[n] *= inverse;
    softmax(p);
    limit(p, limits);
    return draw(p, u);
  }

  /** A logit, or the logarithm of a mixture's probability. */
  score(n, asLogit) {
    return asLogit ? this.network.logits[n] : Math.log(Math.fround(this.recalled[n]));
  }

  /** The character that a piece completes, or nothing; begun: its first bytes. */
  character(piece, begun) {
    if (!this.byteOf.has(piece)) return this.described.tokens.pieces[piece];
    begun.push(this.byteOf.get(piece));
    const size = 1 + (begun[0] >= 0xC0) + (begun[0] >= 0xE0) + (begun[0] >= 0xF0);
    return begun.length < size ? '' : new TextDecoder().decode(new Uint8Array(begun));
  }
}
