// The counts: interpolated modified Kneser-Ney, from the tensors of ngram.safetensors.

export class KneserNey {
  constructor(tensors) {
    const numbers = name => {
      const wide = Float64Array.from(tensors[name].data), large = tensors[`${name}.large`].data;
      let next = 0;
      for (let n = 0; n < wide.length; n++) if (wide[n] === 255) wide[n] = large[next++];
      return wide;
    };
    [this.size] = tensors.facts.data;
    this.pieces = tensors.pieces.data;
    this.counts = numbers('counts');
    this.levels = tensors.levels.data;
    this.discounts = tensors.discounts.data;
    const lengths = numbers('continuations'), lost = numbers('dropped');
    this.nodes = lengths.length;
    this.starts = new Float64Array(this.nodes + 1);
    lengths.forEach((length, node) => { this.starts[node + 1] = this.starts[node] + length; });
    this.totals = new Float64Array(this.nodes);
    this.totals.set(lost, this.nodes - lost.length);
    this.kept = new Float64Array(this.nodes);
    let level = 1;
    for (let node = 0; node < this.nodes; node++) {
      while (node >= this.levels[level]) level++;
      for (let at = this.starts[node]; at < this.starts[node + 1]; at++) {
        this.totals[node] += this.counts[this.size + at];
        this.kept[node] += this.reduced(this.counts[this.size + at], level);
      }
    }
    this.unigrams = this.singles();
  }

  /** The state before a text: the contexts of its last pieces, -1 where they were never seen. */
  begin() {
    this.state = new Array(this.levels.length - 2).fill(-1);
  }

  read(piece) {
    this.state = this.state.map((_, n) => n ? this.child(this.state[n - 1], piece) : piece);
  }

  /** Write the distribution of the next piece into p. */
  row(p) {
    p.set(this.unigrams);
    this.state.forEach((node, n) => {
      const total = this.totals[node];
      if (!total) return;
      const rest = 1 - this.kept[node] / total;
      for (let piece = 0; piece < this.size; piece++) p[piece] *= rest;
      for (let at = this.starts[node]; at < this.starts[node + 1]; at++)
        p[this.pieces[at]] += this.reduced(this.counts[this.size + at], n + 1) / total;
    });
  }

  /** A count less its discount, in the contexts of a length. */
  reduced(count, length) {
    return count - this.discounts[4 * length + Math.min(count, 3)];
  }

  singles() {
    const counts = this.counts.subarray(0, this.size);
    const total = counts.reduce((sum, count) => sum + count, 0);
    if (!total) return counts.map(() => 1 / this.size);
    const kept = counts.map(count => this.reduced(count, 0));
    const rest = (total - kept.reduce((sum, each) => sum + each, 0)) / this.size;
    return kept.map(each => (each + rest) / total);
  }

  child(node, piece) {
    if (node < 0 || node >= this.nodes) return -1;
    let low = this.starts[node], high = this.starts[node + 1];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.pieces[middle] < piece) low = middle + 1;
      else high = middle;
    }
    return low < this.starts[node + 1] && this.pieces[low] === piece ? this.size + low : -1;
  }
}
