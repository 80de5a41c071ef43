// What happens to the text: it is continued, edited, drawn again, and every version of it is kept.

import {cellsFrom, cellsOf, edited, textOf} from './cells.js';
import {bodyOf, newSeed, whole} from './asked.js';
import {complete, getJson, runPath, stream} from './api.js';
import {Tree} from './tree.js';

const BURST = 1500;  // milliseconds between two keys that are one edit
const FRAME = 50;  // milliseconds between two pictures of a text that grows
const SUGGESTED = 16, ENDS = /[，。！？；：、,.!?;\n]/;

export class Writer extends EventTarget {
  /** options: a function that returns what is asked for besides run, prompt and seed. */
  constructor(pad, options) {
    super();
    this.pad = pad;
    this.options = options;
    this.tree = new Tree();
    this.typed = 0;
  }

  /** Tell of a change; problem: what went wrong, which is said until something else is done. */
  changed(problem = this.problem) {
    this.problem = problem;
    this.dispatchEvent(new Event('change'));
  }

  get cells() { return this.tree.now.cells; }

  get writing() { return this.running !== undefined; }

  /** The version to go back to where nothing comes: not one that nothing has come of yet. */
  get kept() {
    const {now} = this.tree;
    return this.writing && now.cells.length === now.how.begun ? now.how.kept : now;
  }

  /** What would write the present text again, or go on from it. */
  get asked() {
    const {pinned, ...options} = this.options();
    return this.tree.now.how.asked ??
      {run: this.run, prompt: textOf(this.cells), seed: pinned || newSeed(), ...options};
  }

  stop() {
    this.running?.abort();
    this.running = undefined;
  }

  /** Go on with another run: what the one before it says of any version holds no more. */
  use(run) {
    this.stop();
    this.forget();
    this.run = run;
    for (const {node} of this.tree.listed())
      for (const cell of node.cells) delete cell.likely, delete cell.nats, delete cell.gate;
    this.pad.refresh();
    this.later();
  }

  /** Drop what was said of the version before. */
  forget() {
    this.suggestion = this.remark = this.copied = this.problem = undefined;
    this.pad.suggest('');
    this.pad.changed.clear();
    this.pad.copies = [];
  }

  /** Show the present version. */
  show(caret = this.cells.length) {
    this.stop();
    this.forget();
    this.pad.show(this.cells, caret);
    this.pad.refresh();
    this.changed();
    this.later();
  }

  undo() { this.tree.undo(); this.show(); }

  redo() { this.tree.redo(); this.show(); }

  go(node) { this.tree.go(node); this.show(); }

  /** Take the text as it was edited in the field. */
  edit(composing = false) {
    const {now} = this.tree, {pad} = this;
    if (this.writing) now.cells.length = pad.cells.length;  // what wasn't shown yet isn't edited
    this.composing = composing;
    this.stop();
    this.forget();
    let cells = edited(pad.cells, pad.field.value);
    const same = textOf(now.cells) === textOf(cells);
    if (same) ({cells} = now);  // with their odds, if what was composed is gone again
    pad.show(cells);
    pad.refresh();
    if (composing) return;
    if (!same) {
      const burst = Date.now() - this.typed < BURST && now.how.kind === 'typed' && !now.children.length;
      if (burst) now.cells = cells;
      else this.tree.add(cells, {kind: 'typed'});
      this.typed = Date.now();
    }
    this.changed();
    this.later();
  }

  /** Continue some cells, which are those of the present version by default. */
  async write(before = this.cells, {kind = 'written', asked, parent = this.tree.now} = {}) {
    const {kept} = this;
    this.stop();
    const {pinned, ...options} = this.options();
    if (pinned && !whole(pinned)) return this.changed('The seed is a whole number from 0 to 18446744073709551615.');
    if (!(options.length >= 1)) return this.changed('The number of characters is a whole number, 1 or more.');
    asked ??= {run: this.run, prompt: textOf(before), seed: pinned || newSeed(), ...options};
    const node = this.tree.add([...before], {kind, asked: {...asked}, begun: before.length, kept}, parent);
    const running = new AbortController();
    this.show();
    this.running = running;
    this.changed();
    this.pad.end.scrollIntoView({block: 'nearest'});
    let first, problem, painted = 0;
    this.speed = 0;
    try {
      for await (const choice of stream(bodyOf(asked), running.signal)) {
        const cells = cellsFrom(choice);
        if (this.running !== running) break;
        node.cells.push(...cells);
        const now = performance.now(), drawn = node.cells.length - before.length;
        first ??= {now, drawn};
        if (now > first.now) this.speed = 1000 * (drawn - first.drawn) / (now - first.now);
        if (now - painted < FRAME) continue;
        painted = now;
        this.pad.grow(node.cells);
        this.changed();
      }
    } catch (error) {
      if (error.name !== 'AbortError') problem = error.message;
    }
    const stopped = this.running !== running;
    if (!stopped) this.running = undefined;
    if (stopped || problem)  // what is here is what is asked for again
      Object.assign(node.how.asked, {length: node.cells.length - before.length, end: 'none'});
    if (node.cells.length === before.length && (problem || kind === 'written')) {
      this.tree.drop(node, kept);
      if (this.tree.now === kept && !this.composing) this.show();
    }
    if (this.tree.now === node && !this.composing) {
      this.pad.grow(node.cells);
      this.pad.show(node.cells, node.cells.length);
    }
    this.changed(problem);
    this.later();
  }

  /** Put another character in a place and go on from there. */
  take(n, c) {
    const taken = {...this.cells[n], c, drawn: true};
    const found = taken.likely?.find(([piece]) => piece === c);
    if (found) taken.nats = -found[1];
    return this.write([...this.cells.slice(0, n), taken], {kind: 'taken'});
  }

  /** The same beginning with another seed. */
  again() {
    const {now} = this.tree, {asked, begun} = now.how;
    if (!asked) return this.write();
    const {pinned, ...options} = this.options();
    const seed = pinned ? String((BigInt(asked.seed) + 1n) % 2n ** 64n) : newSeed();
    return this.write(now.cells.slice(0, begun), {asked: {...asked, ...options, run: this.run, seed}, parent: now.parent});
  }

  /** The same draws at another temperature: the characters that differ are marked. */
  async redraw(temperature) {
    const {now} = this.tree, base = now.how.base ?? now;
    if (!base.how.asked || this.writing) return;
    this.redrawing?.abort();
    const running = this.redrawing = new AbortController();
    const asked = {...base.how.asked, run: this.run, temperature};
    let cells = base.cells;
    if (temperature !== base.how.asked.temperature || this.run !== base.how.asked.run) {
      let choice;
      try {
        choice = await complete(bodyOf(asked), running.signal);
      } catch (error) {
        return error.name === 'AbortError' ? undefined : this.changed(error.message);
      }
      if (this.tree.now !== now) return;
      cells = [...base.cells.slice(0, base.how.begun), ...cellsFrom(choice)];
    }
    if (now !== base) this.tree.drop(now);
    if (cells === base.cells) this.tree.go(base);
    else this.tree.add(cells, {kind: 'redrawn', asked, begun: base.how.begun, base}, base.parent);
    const {begun} = base.how, changed = new Set();
    cells.forEach((cell, n) => { if (n >= begun && cell.c !== base.cells[n]?.c) changed.add(n); });
    this.show();
    this.pad.changed = changed;
    this.pad.refresh();
    this.compared = {from: base.how.asked.temperature, to: temperature, count: changed.size,
      of: cells.length - begun, first: Math.min(...changed) - begun + 1};
    this.changed();
    this.compared = undefined;
  }

  /** What can wait until nothing is typed: scores, copies, a suggestion. */
  later() {
    clearTimeout(this.timer);
    this.asking?.abort();
    this.asking = new AbortController();
    this.timer = setTimeout(async () => {
      const {signal} = this.asking;
      if (this.writing || this.composing) return;
      try {
        await this.score(signal);
        await Promise.all([this.findCopies(signal), this.suggest(signal)]);
      } catch (error) {
        if (error.name === 'AbortError') return;
        this.remark = error.message;  // such as a character that the model has never seen
        this.changed();
      }
    }, 350);
  }

  /** Ask what the characters cost that the model hasn't drawn. */
  async score(signal) {
    const {cells} = this, {labels} = this.options();
    if (cells.every(cell => cell.nats !== undefined)) return;
    const asked = {run: this.run, prompt: textOf(cells), seed: '0', length: 0, labels, echo: true, logprobs: 0};
    const scored = cellsFrom(await complete(bodyOf(asked), signal));
    if (scored.length !== cells.length) return;
    cells.forEach((cell, n) => {
      if (cell.nats === undefined) Object.assign(cell, {nats: scored[n].nats, gate: scored[n].gate});
    });
    this.pad.refresh();
    this.changed();
  }

  async findCopies(signal) {
    if (this.pad.tint !== 'copied' || !this.cells.length) return;
    try {
      const {copies, least} = await getJson(runPath(this.run, 'copies'), {body: {text: textOf(this.cells)}, signal});
      this.pad.copies = copies;
      this.copied = copies.length ? `runs of ${least} characters or more that the training text has`
        : `no run of ${least} characters is in the training text`;
    } catch (error) {
      if (error.code !== 'no_corpus') throw error;
      this.copied = error.message;
    }
    this.pad.refresh();
    this.changed();
  }

  /** The alternatives of a character, asked for where they aren't known; none if the run changes meanwhile. */
  async alternatives(n) {
    const cell = this.cells[n], {run} = this;
    if (!cell.likely) {
      const prompt = textOf(this.cells.slice(0, n));
      const {labels} = this.options();
      const [found] = cellsFrom(await complete(bodyOf({run, prompt, seed: '0', length: 1, labels})));
      if (run !== this.run) return;
      cell.likely = found.likely;
      cell.gate ??= found.gate;
    }
    return cell;
  }

  async suggest(signal) {
    const {cells, pad} = this;
    if (!this.suggests || this.tree.now.how.kind !== 'typed' || !pad.atEnd || !cells.length) return;
    if (document.activeElement !== pad.field) return;
    const {labels} = this.options();
    const asked = {run: this.run, prompt: textOf(cells), seed: '0', length: SUGGESTED, labels, temperature: 0.2};
    const found = cellsFrom(await complete(bodyOf(asked), signal));
    const end = found.findIndex(cell => ENDS.test(cell.c));
    this.suggestion = found.slice(0, end < 1 ? undefined : end + 1);
    pad.suggest(textOf(this.suggestion).trimEnd());
    this.changed();
  }

  takeSuggestion() {
    if (!this.suggestion?.length) return false;
    this.tree.add([...this.cells, ...this.suggestion], {kind: 'typed'});
    this.typed = 0;
    this.show();
    return true;
  }

  dropSuggestion() {
    const had = Boolean(this.suggestion);
    this.suggestion = undefined;
    this.pad.suggest('');
    return had;
  }

  /** Begin anew with a text. */
  put(text) {
    this.tree.add(cellsOf(text), {kind: 'typed'});
    this.show();
  }
}
