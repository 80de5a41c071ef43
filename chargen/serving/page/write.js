// The view "Write": its controls, keys and pointer, and the list of branches.

import {commandOf, copy, labelFields, labelsIn, linkOf, whole} from './asked.js';
import {bitsOf, textOf} from './cells.js';
import * as menu from './menu.js';
import {Pad} from './pad.js';
import {Writer} from './writer.js';

const by = id => document.getElementById(id);
const field = by('text'), pad = new Pad(field, by('mirror')), told = by('told');
const NUMBERS = ['temperature', 'length', 'top_p', 'top_k', 'min_p', 'recall', 'repetition_penalty'];
const LONGEST_LINK = 16_000;
const LEGENDS = {
  surprise: 'bits: how unlikely a character was', counts: 'per cent: the share of the n-gram counts',
  copied: '', plain: '',
};

function options() {
  const found = {labels: labelsIn(by('labels')), end: by('end').value, pinned: by('seed').value.trim()};
  for (const name of NUMBERS) found[name] = Number(by(name).value);
  return found;
}

export const writer = new Writer(pad, options);
writer.suggests = true;

export const view = {
  get hash() {
    const {asked} = writer.tree.now.how;
    return asked ? linkOf(asked) : linkOf({run: writer.run, prompt: textOf(writer.cells)});
  },

  /** Another run: its labels, and whether it has counts. */
  use(run) {
    writer.use(run.id);
    labelFields(by('labels'), run.labels, labelsIn(by('labels')));
    document.querySelector('.mixed').hidden = !run.ngram;
    if (!run.ngram && pad.tint === 'counts') document.querySelector('[name=tint]').click();
  },

  /** Do what a link asks for. */
  open(link) {
    for (const name of [...NUMBERS, 'end', 'seed']) if (link[name] !== undefined) by(name).value = link[name];
    for (const each of by('labels').querySelectorAll('select')) each.value = link.labels[each.name] ?? '';
    tell();
    if ((link.prompt ?? link.seed) !== undefined) writer.put(link.prompt ?? '');
    if (link.seed !== undefined) writer.write();
    by('seed').value = '';
  },
  focus: () => field.focus({preventScroll: true}),
};

function tell() {
  document.querySelector('[for=temperature]').textContent = Number(by('temperature').value).toFixed(2);
}

let linking, linked;

function link() {
  const {hash} = view;  // a browser bears only so many changes of so long an address
  if (!view.hidden) history.replaceState(null, '', hash.length < LONGEST_LINK ? hash : '#');
}

/** Show what the writer tells: its speed, what it has done, what went wrong. */
writer.addEventListener('change', () => {
  const problem = writer.problem ?? view.notice, {now} = writer.tree, drawn = now.cells.length - (now.how.begun ?? now.cells.length);
  if (!view.hidden) {
    by('problem').hidden = !problem;
    by('problem').textContent = problem ?? '';
  }
  by('go').firstChild.textContent = writer.writing ? 'Stop ' : writer.cells.length ? 'Continue ' : 'Begin ';
  by('go').lastElementChild.textContent = writer.writing ? 'Esc' : 'Ctrl ⏎';
  by('again').disabled = !now.how.asked;
  by('undo').disabled = !writer.tree.canUndo;
  by('redo').disabled = !writer.tree.canRedo;
  told.ariaLive = writer.writing ? 'off' : 'polite';
  const speed = Math.round(writer.speed).toLocaleString('en');
  if (writer.compared) {
    const {from, to, count, of, first} = writer.compared;
    told.textContent = count
      ? `${from.toFixed(2)} → ${to.toFixed(2)}: ${count} of ${of} characters changed, the first is number ${first}`
      : `${from.toFixed(2)} → ${to.toFixed(2)}: the same text`;
  } else if (writer.writing) told.textContent = drawn ? `${drawn} characters · ${speed} a second` : '…';
  else if (writer.remark) told.textContent = writer.remark;
  else if (writer.suggestion?.length) told.textContent = 'Tab takes the suggestion';
  else if (now.how.kind === 'redrawn' && pad.changed.size) return;
  else told.textContent = summary(now, drawn, speed);
  legend();
  if (writer.writing && linked !== now) {
    linked = now;
    link();  // at once, for whoever loads the page again meanwhile
  }
  if (writer.writing) return;
  listBranches();
  clearTimeout(linking);
  linking = setTimeout(link, 300);
});

function summary(node, drawn, speed) {
  if (!drawn) return `${node.cells.length.toLocaleString('en')} characters`;
  const cells = node.cells.slice(node.how.begun), bits = cells.reduce((sum, cell) => sum + (bitsOf(cell) ?? 0), 0);
  return `${drawn} characters${writer.speed ? `, ${speed} a second` : ''}, ${(bits / drawn).toFixed(2)} bits each`;
}

function legend() {
  by('legend').textContent = pad.tint === 'copied' ? writer.copied ?? '' : LEGENDS[pad.tint];
}

const KINDS = {written: '✎', taken: '⇄', redrawn: '◐', typed: '⌨', empty: '∅'};
const SAID = {written: 'written', taken: 'with an alternative', redrawn: 'at another temperature', typed: 'typed', empty: 'empty'};

function listBranches() {
  const {tree} = writer, rows = tree.listed();
  by('branches').hidden = rows.length < 3;
  by('branches').querySelector('ol').replaceChildren(...rows.slice(-200).map(({node, depth}) => {
    const row = document.createElement('li'), button = document.createElement('button');
    const kind = document.createElement('span'), words = document.createElement('span');
    row.className = `depth-${Math.min(depth, 6)}`;
    button.type = 'button';
    kind.className = 'kind';
    kind.textContent = KINDS[node.how.kind];
    words.textContent = snippet(node) || (node.parent ? '…' : 'empty');
    words.lang = 'zh';
    button.title = SAID[node.how.kind] +
      (node.how.asked ? `, temperature ${node.how.asked.temperature}, seed ${node.how.asked.seed}` : '');
    button.setAttribute('aria-label', `${words.textContent}, ${SAID[node.how.kind]}`);
    button.append(kind, words);
    if (node === tree.now) button.setAttribute('aria-current', 'true');
    button.addEventListener('click', () => writer.go(node));
    row.append(button);
    return row;
  }));
}

/** What a version has that the one before it hasn't. */
function snippet({cells, parent}) {
  const before = parent?.cells ?? [];
  let n = 0;
  while (n < before.length && n < cells.length && cells[n].c === before[n].c) n++;
  return textOf(cells.slice(n === cells.length ? -10 : n, n === cells.length ? undefined : n + 10)).replace(/\s+/g, ' ');
}

/** Open the alternatives of a character. */
async function look(n, more = {}) {
  let cell;
  try {
    cell = await writer.alternatives(n);
  } catch {
    return;  // what can't be read has none; writing says why
  }
  if (!cell || writer.cells[n] !== cell || (!more.focus && pad.hovered !== n)) return;
  pad.point(n);
  menu.open({
    box: pad.boxOf(n), within: pad.mirror, cell, back: field, take: c => writer.take(n, c),
    closed: () => { pad.point(undefined); pad.hovered = undefined; }, ...more,
  });
}

let pointer = 'mouse', waiting;
field.addEventListener('pointermove', event => {
  if (event.pointerType !== 'mouse' || event.buttons || writer.writing) return;
  const n = pad.at(event.clientX, event.clientY);
  if (n === pad.hovered) return;
  clearTimeout(waiting);
  pad.hovered = n;
  if (n === undefined) menu.closeSoon();
  else waiting = setTimeout(() => { if (pad.hovered === n) look(n); }, menu.isOpen() ? 60 : 220);
});
field.addEventListener('pointerleave', () => {
  clearTimeout(waiting);
  if (menu.isOpen()) menu.closeSoon();
  else pad.hovered = undefined;
});
field.addEventListener('pointerdown', event => { pointer = event.pointerType; });
// A first tap looks, a second one edits: the keyboard of a phone would hide what there is to see.
field.addEventListener('mousedown', event => {
  if (pointer === 'mouse' || document.activeElement === field) return;
  const n = pad.at(event.clientX, event.clientY);
  if (n === undefined || pad.tapped === n) return;
  event.preventDefault();
  pad.hovered = pad.tapped = n;
  look(n, {extra: ['Edit', () => {
    pad.tapped = undefined;
    field.focus();
    pad.show(writer.cells, n);
  }]});
});

field.addEventListener('beforeinput', event => {
  if (event.inputType === 'historyUndo') writer.undo();
  else if (event.inputType === 'historyRedo') writer.redo();
  else return;
  event.preventDefault();
});
field.addEventListener('input', event => {
  menu.close();
  writer.edit(event.isComposing);
});
field.addEventListener('compositionend', () => writer.edit());
field.addEventListener('keydown', event => {
  if (event.isComposing) return;
  if (event.key === 'Tab' && !event.shiftKey && writer.takeSuggestion()) event.preventDefault();
  else if (event.altKey && event.key === 'ArrowDown' && pad.place < pad.cells.length) {
    event.preventDefault();
    look(pad.place, {focus: true});
  } else if (event.altKey && /^Digit[1-8]$/.test(event.code) && pad.place < pad.cells.length) {
    event.preventDefault();
    const n = pad.place;
    writer.alternatives(n).then(cell => {
      const [piece] = cell?.likely?.[event.code.at(-1) - 1] ?? [];
      if (piece && Array.from(piece).length === 1) writer.take(n, piece);
    }).catch(() => {});
  }
});

/** Keys that count everywhere in the view. */
view.key = event => {
  const command = event.ctrlKey || event.metaKey, key = event.key.toLowerCase();
  if (key === 'enter' && command && event.shiftKey) writer.write(writer.cells.slice(0, pad.place));
  else if (key === 'enter' && command) writer.write();
  else if (key === 'enter' && event.altKey) writer.again();
  else if (key === 'escape') {
    if (menu.isOpen()) menu.close();
    else if (writer.writing) writer.stop();
    else if (!writer.dropSuggestion()) return;
  } else if (event.target !== field && event.target.matches('input:not([type=range], [type=radio], [type=checkbox])')) return;
  else if (key === 'z' && command && event.shiftKey || key === 'y' && command) writer.redo();
  else if (key === 'z' && command) writer.undo();
  else return;
  event.preventDefault();
};

by('go').addEventListener('click', () => { if (writer.writing) writer.stop(); else writer.write(); });
by('again').addEventListener('click', () => writer.again());
by('undo').addEventListener('click', () => writer.undo());
by('redo').addEventListener('click', () => writer.redo());
by('keys').addEventListener('click', () => by('help').showModal());
const said = text => { told.textContent = text; };
by('link').addEventListener('click', async () => {
  await copy(location.href.split('#')[0] + view.hash);
  said('The link is in the clipboard.');
});
by('command').addEventListener('click', async () => {
  const {asked} = writer;
  if (!whole(asked.seed)) return said('The seed is a whole number from 0 to 18446744073709551615.');
  await copy(commandOf(asked));
  said('The command is in the clipboard.');
});
by('options').addEventListener('submit', event => event.preventDefault());
by('suggest').addEventListener('change', event => {
  writer.suggests = event.target.checked;
  writer.dropSuggestion();
});
let redraw;
by('temperature').addEventListener('input', () => {
  tell();
  clearTimeout(redraw);
  redraw = setTimeout(() => writer.redraw(Number(by('temperature').value)), 60);
});
for (const each of document.querySelectorAll('[name=tint]')) {
  each.addEventListener('change', () => {
    pad.tint = each.value;
    pad.refresh();
    legend();
    writer.later();
  });
}
by('numbers').addEventListener('change', event => {
  pad.numbers = event.target.checked;
  pad.refresh();
});
tell();
