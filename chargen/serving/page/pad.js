// The field to write in, and beneath it its mirror: the same characters, one by one, which carry marks.

import {level, mark, placeOf, textOf, unitsBefore} from './cells.js';

export class Pad {
  constructor(field, mirror) {
    this.field = field;
    this.mirror = mirror;
    this.cells = [];
    this.tint = 'surprise';
    this.copies = [];
    this.changed = new Set();
    this.numbers = false;
    this.ghost = document.createElement('span');
    this.ghost.className = 'ghost';
    this.end = document.createElement('span');
    this.end.textContent = '\u200b';
    mirror.append(this.ghost, this.end);
  }

  /** Show cells; caret: the place where it is to stand, or nowhere else than now. */
  show(cells, caret) {
    let same = 0;
    while (same < cells.length && same < this.cells.length && cells[same] === this.cells[same]) same++;
    this.cells = [...cells];
    const text = textOf(cells), {selectionStart, selectionEnd} = this.field;
    if (this.field.value !== text) {
      this.field.value = text;
      this.field.setSelectionRange(selectionStart, selectionEnd);
    }
    if (caret !== undefined) {
      const units = unitsBefore(cells, caret);
      this.field.setSelectionRange(units, units);
    }
    const {children} = this.mirror, old = children.length - 2;
    for (let n = same; n < cells.length; n++) {
      const span = n < old ? children[n] : document.createElement('span');
      this.dress(span, n);
      if (n >= old) this.ghost.before(span);
    }
    for (let n = children.length - 2; n > cells.length; n--) children[n - 1].remove();
  }

  /** Show cells that have become more, and keep their end in sight if it was. */
  grow(cells) {
    const low = this.isLow();
    this.show(cells);
    if (low) this.end.scrollIntoView({block: 'nearest'});
  }

  /** Whether the end of the text is in sight. */
  isLow() {
    return this.end.getBoundingClientRect().top < innerHeight;
  }

  /** Mark all characters anew. */
  refresh() {
    this.mirror.classList.toggle('numbered', this.numbers);
    this.field.classList.toggle('numbered', this.numbers);
    this.cells.forEach((_, n) => this.dress(this.mirror.children[n], n));
  }

  dress(span, n) {
    const cell = this.cells[n], tinted = level(cell, this.tint);
    const names = tinted ? [`${this.tint}-${tinted}`] : [];
    if (this.tint === 'copied' && this.copies.some(([start, end]) => start <= n && n < end)) names.push('copied');
    if (this.changed.has(n)) names.push('changed');
    if (this.pointed === n) names.push('pointed');
    span.n = n;
    span.textContent = cell.c;
    span.className = names.join(' ');
    const number = this.numbers ? mark(cell, this.tint) : '';
    if (number) span.dataset.mark = number;
    else delete span.dataset.mark;
  }

  suggest(text) {
    this.ghost.textContent = text;
  }

  /** Point to a character, or to none. */
  point(n) {
    const before = this.pointed;
    this.pointed = n;
    for (const each of [before, n])
      if (each !== undefined && each < this.cells.length) this.dress(this.mirror.children[each], each);
  }

  /** The cell before which the caret stands. */
  get place() {
    return placeOf(this.cells, this.field.selectionStart);
  }

  get atEnd() {
    return this.field.selectionStart === this.field.value.length;
  }

  /** The character at a point of the window. */
  at(x, y) {
    return document.elementsFromPoint(x, y).find(each => each.parentNode === this.mirror && each.n !== undefined)?.n;
  }

  boxOf(n) {
    const [first] = this.mirror.children[n].getClientRects();
    return first ?? this.mirror.children[n].getBoundingClientRect();
  }
}
