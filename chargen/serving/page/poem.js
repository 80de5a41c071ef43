// The view "Poem": a workshop where characters are locked and the rest is drawn again within the form.

import {bodyOf, commandOf, copy, labelFields, labelsIn, linkOf, newSeed} from './asked.js';
import {complete, fitting} from './api.js';
import {bitsOf, cellsFrom, textOf} from './cells.js';
import * as menu from './menu.js';
import {writer} from './write.js';

const by = id => document.getElementById(id);
const place = by('poem'), pattern = by('pattern'), told = by('poem-told'), problem = by('problem');
const HANZI = /\p{Script=Han}/u, BETWEEN = /[\s，。,./]/;
const SIZES = {wujue: [4, 5], qijue: [4, 7], wulv: [8, 5], qilv: [8, 7]};
let run, running, pending, looking, versions = [], now = -1, at = 0, changed = new Set();

/** The cells of the poem that are characters of verses, in order. */
const places = version => version?.cells.filter(cell => HANZI.test(cell.c)) ?? [];
const current = () => versions[now];

/** What the pattern's field says: a character or _ for each place. */
const patterned = () => [...pattern.value].filter(c => !BETWEEN.test(c)).map(c => c === '＿' ? '_' : c);

function writePattern(given) {
  by('name').value = current().asked.form.name;  // another one may be chosen, but isn't drawn yet
  const [verses, size] = SIZES[by('name').value], rows = [];
  for (let n = 0; n < verses; n++) rows.push(given.slice(n * size, (n + 1) * size).join(''));
  pattern.value = given.some(c => c !== '_') ? rows.join('\n').trim() : '';
  pattern.rows = verses;
}

const locked = n => (patterned()[n] ?? '_') !== '_';

function asked(seed) {
  const form = {
    name: by('name').value, acrostic: by('acrostic').value.trim(), tones: by('tones').value,
    rhyme: by('rhyme').checked, pattern: pattern.value.trim().replace(/\s+/g, '/'),
  };
  for (const name of ['acrostic', 'pattern']) if (!form[name]) delete form[name];
  if (!form.rhyme) delete form.rhyme;
  return {run, prompt: '', seed, temperature: Number(by('poem-temperature').value), form, labels: labelsIn(by('poem-labels'))};
}

/** Fill in what a link or a version asks for. */
function fill({name, acrostic = '', tones = 'none', rhyme, pattern: given = '', temperature, labels = {}}) {
  by('name').value = name;
  by('acrostic').value = acrostic;
  by('tones').value = tones;
  by('rhyme').checked = Boolean(rhyme);
  pattern.value = given.replaceAll('/', '\n');
  pattern.rows = SIZES[name][0];
  if (temperature !== undefined) by('poem-temperature').value = temperature;
  for (const each of by('poem-labels').querySelectorAll('select')) each.value = labels[each.name] ?? '';
  tell();
}

export const view = {
  get hash() {
    return linkOf(pending ?? current()?.asked ?? {run, form: {}});
  },
  use(chosen) {
    run = chosen.id;
    labelFields(by('poem-labels'), chosen.labels, labelsIn(by('poem-labels')));
    draw();
  },
  open(link) {
    fill({...(!link.name && asked().form), ...link});
    if (link.seed !== undefined) write(link.seed);
    draw();
  },
  focus: () => (place.querySelector('[tabindex="0"]') ?? by('poem-go')).focus(),
  key(event) {
    const command = event.ctrlKey || event.metaKey, key = event.key.toLowerCase();
    if (key === 'enter' && command) write();
    else if (key === 'escape' && menu.isOpen()) menu.close();
    else if (event.target.matches('input, textarea')) return;
    else if (key === 'z' && command && event.shiftKey || key === 'y' && command) go(now + 1);
    else if (key === 'z' && command) go(now - 1);
    else return;
    event.preventDefault();
  },
};

function tell() {
  document.querySelector('[for=poem-temperature]').textContent = Number(by('poem-temperature').value).toFixed(2);
}

/** Write a poem around what is locked; same: with the same draws as now, and what changes is marked. */
async function write(seed = newSeed(), same = false) {
  running?.abort();
  const mine = running = new AbortController();
  const began = performance.now(), wanted = pending = asked(seed), before = places(current());
  problem.hidden = true;
  told.textContent = '…';
  try {
    const choice = await complete(bodyOf(wanted), mine.signal);
    const seconds = (performance.now() - began) / 1000, cells = cellsFrom(choice);
    changed.clear();
    if (same) places({cells}).forEach((cell, n) => { if (cell.c !== before[n]?.c) changed.add(n); });
    pending = undefined;
    add({cells, asked: wanted, pattern: pattern.value, rules: wanted.form});
    const bits = cells.reduce((sum, cell) => sum + bitsOf(cell), 0) / cells.length;
    told.textContent = same ? `${changed.size} of ${before.length} characters changed`
      : `${seconds.toFixed(1)} s, ${bits.toFixed(2)} bits each`;
  } catch (error) {
    if (error.name === 'AbortError') return;
    pending = undefined;
    told.textContent = '';
    problem.textContent = error.message;
    problem.hidden = false;
  }
}

function add(version) {
  versions = [...versions.slice(0, now + 1), version];
  now = versions.length - 1;
  draw();
}

function go(n) {
  if (n < 0 || n >= versions.length) return;
  now = n;
  const {rules, pattern: given, asked: {temperature, labels}} = current();
  fill({...rules, pattern: given, temperature, labels});
  changed.clear();
  draw();
}

/** Show the poem: a button for each character, which says whether it is locked. */
function draw() {
  menu.close();
  const focused = place.contains(document.activeElement), rows = [], all = places(current());
  at = Math.min(at, Math.max(0, all.length - 1));
  let row, n = 0;
  for (const cell of current()?.cells ?? []) {
    if (!row) rows.push(row = document.createElement('p'));
    if (HANZI.test(cell.c)) row.append(button(cell, n++));
    else if (cell.c === '\n') row = undefined;
    else row.append(Object.assign(document.createElement('span'), {textContent: cell.c}));
    if (cell.c === '，') row = undefined;
  }
  place.lang = 'zh';
  place.replaceChildren(...rows);
  place.hidden = !rows.length;
  if (focused) place.querySelector('[tabindex="0"]')?.focus();
  const held = all.filter((_, n) => locked(n)).length;
  by('poem-go').firstChild.textContent = held ? 'Draw the rest ' : all.length ? 'Another ' : 'Write ';
  by('poem-hint').textContent = !all.length ? 'Choose a form and write a poem. Lock the characters you like; the rest is drawn again.'
    : held ? `${held} locked: ${held > 1 ? 'they stay where they are' : 'it stays where it is'}.` : 'Choose a character to lock it. What is locked stays; the rest is drawn again.';
  by('poem-free').disabled = !pattern.value;
  by('poem-undo').disabled = now < 1;
  by('poem-redo').disabled = now + 1 >= versions.length;
  for (const id of ['poem-keep', 'poem-link', 'poem-command']) by(id).disabled = !all.length;
  if (!view.hidden) history.replaceState(null, '', view.hash);
}

function button(cell, n) {
  const made = document.createElement('button');
  made.type = 'button';
  made.textContent = cell.c;
  made.tabIndex = n === at ? 0 : -1;
  made.setAttribute('aria-pressed', String(locked(n)));
  made.classList.toggle('changed', changed.has(n));
  made.addEventListener('click', event => {
    lock(n);
    if (event.pointerType === 'touch') look(place.querySelectorAll('button')[n], cell, n);
  });
  made.addEventListener('focus', () => { at = n; if (made.matches(':focus-visible')) look(made, cell, n); });
  made.addEventListener('pointerenter', event => {
    if (event.pointerType === 'mouse') made.waiting = setTimeout(() => look(made, cell, n), 350);
  });
  made.addEventListener('pointerleave', event => {
    clearTimeout(made.waiting);
    looking = undefined;
    if (event.pointerType === 'mouse') menu.closeSoon();
  });
  made.addEventListener('keydown', event => move(event, cell, n));
  return made;
}

function lock(n) {
  const all = places(current()), given = all.map((cell, m) => locked(m) !== (m === n) ? cell.c : '_');
  at = n;
  writePattern(given);
  current().pattern = pattern.value;
  draw();
}

/** The alternatives that the form allows: a verse begins as the acrostic says, tones and rhyme are kept. */
async function choices(version, cell, n) {
  const {name, tones = 'none', rhyme} = version.rules, [verses, size] = SIZES[name];
  const wanted = n % size === 0 ? [...(version.rules.acrostic ?? '')][n / size] : undefined;
  const likely = cell.likely?.filter(([piece]) => wanted ? piece === wanted : HANZI.test(piece)) ?? [];
  if (tones === 'none' && !rhyme && verses === 4) return likely;
  version.fits ??= {};
  version.fits[n] ??= fitting(version.asked.run, {
    form: {name, tones, ...(rhyme && {rhyme})}, place: n,
    poem: places(version).map(({c}) => c).join(''), characters: likely.map(([piece]) => piece),
  });
  const fit = await version.fits[n].catch(error => {
    delete version.fits[n];
    throw error;
  });
  return likely.filter(([piece]) => fit.includes(piece));
}

async function look(made, cell, n) {
  const version = current();
  looking = made;
  let likely;
  try {
    likely = await choices(version, cell, n);
  } catch (error) {
    told.textContent = error.message;
    return;
  }
  if (looking !== made || !made.isConnected || version !== current()) return;
  menu.open({
    box: made.getBoundingClientRect(), back: made, take: c => take(n, c), cell: {...cell, likely},
  });
}

/** Put another character in a place, and lock it there. */
function take(n, c) {
  const all = places(current());
  at = n;
  writePattern(all.map((cell, m) => m === n ? c : locked(m) ? cell.c : '_'));
  const cells = current().cells.map(cell => cell === all[n] ? {...cell, c, nats: undefined} : cell);
  const {rules, asked: {form: {name}}} = current(), whole = places({cells}).map(({c}) => c);
  const rows = whole.map((c, m) => m && m % SIZES[name][1] === 0 ? `/${c}` : c).join('');
  changed.clear();
  // No seed draws this poem: what writes it again is itself, as a pattern.
  add({cells, asked: {...current().asked, form: {...rules, pattern: rows}}, pattern: pattern.value, rules});
}

function move(event, cell, n) {
  const [, size] = SIZES[current().asked.form.name], buttons = place.querySelectorAll('button');
  const step = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: size, ArrowUp: -size}[event.key];
  if (step) buttons[n + step]?.focus();
  else if (/^[1-8]$/.test(event.key)) {
    const version = current();
    choices(version, cell, n).then(found => {
      if (version === current() && found[event.key - 1]) take(n, found[event.key - 1][0]);
    }).catch(error => { told.textContent = error.message; });
  } else return;
  event.preventDefault();
}

by('poem-go').addEventListener('click', () => write());
by('poem-undo').addEventListener('click', () => go(now - 1));
by('poem-redo').addEventListener('click', () => go(now + 1));
by('poem-free').addEventListener('click', () => {
  pattern.value = '';
  if (current()) current().pattern = '';
  draw();
});
by('poem-keep').addEventListener('click', () => {
  writer.put(textOf(current().cells));
  document.querySelector('nav [data-view=write]').click();
});
by('poem-link').addEventListener('click', async () => {
  await copy(location.href.split('#')[0] + view.hash);
  told.textContent = 'The link is in the clipboard.';
});
by('poem-command').addEventListener('click', async () => {
  await copy(commandOf(current().asked));
  told.textContent = 'The command is in the clipboard.';
});
by('form').addEventListener('submit', event => event.preventDefault());
by('name').addEventListener('change', () => {
  pattern.value = '';
  pattern.rows = SIZES[by('name').value][0];
  draw();
});
pattern.addEventListener('change', () => draw());
let redraw;
by('poem-temperature').addEventListener('input', () => {
  tell();
  clearTimeout(redraw);
  if (current()) redraw = setTimeout(() => write(current().asked.seed, true), 120);
});
tell();
