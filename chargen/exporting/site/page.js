// The page: what is asked for, the text as it comes, and the alternatives of its characters.

import {before, knowsForms, placesOf} from './forms.js';
import {readTensors} from './tensors.js';
import {Writer} from './writer.js';

const SLICE = 12;  // milliseconds of writing between two pictures
const by = id => document.getElementById(id);
const [form, prompt, labels, temperature, length, seed, write, text, menu, told, problem, command] =
  ['form', 'prompt', 'labels', 'temperature', 'length', 'seed', 'write', 'text', 'alternatives', 'told',
    'problem', 'command'].map(by);
/** Options under More: the flag of chargen sample, what stands there by default, and what may. */
const LIMITS = {
  top_k: ['--top-k', 0, n => Number.isInteger(n) && n >= 0, 'Top-k is a whole number, 0 or more.'],
  top_p: ['--top-p', 1, n => n > 0 && n <= 1, 'Top-p is above 0, and at most 1.'],
  min_p: ['--min-p', 0, n => n >= 0 && n < 1, 'Min-p is at least 0, and below 1.'],
};
let writer, described, running, steps = [], shown = -1;

async function load() {
  const fetched = async name => {
    const answer = await fetch(name);
    if (!answer.ok) throw new Error(`${name}: ${answer.status} ${answer.statusText}`);
    return answer;
  };
  described = await (await fetched('model.json')).json();
  const {about, name} = described;
  const files = ['model.safetensors', ...(about.order ? ['ngram.safetensors'] : [])];
  const tensors = await Promise.all(files.map(async file => readTensors(await (await fetched(file)).arrayBuffer())));
  writer = new Writer(described, ...tensors);
  document.title = name;
  by('title').textContent = name;
  by('about').textContent =
    `${about.layers} × ${about.cell} of ${about.units} units, ${about.parameters.toLocaleString('en')} parameters` +
    `${about.order ? `, with the counts of ${about.order}-grams` : ''}; learnt from ` +
    `${about.characters.toLocaleString('en')} characters of ${about.corpus}` +
    `${about.bits ? ` to ${about.bits.toFixed(2)} bits per character` : ''}.`;
  if (described.tokens.convert !== 'none')
    by('about').textContent += described.tokens.convert === 't2s'
      ? ' It reads simplified characters.' : ' It reads traditional characters.';
  for (const [key, values] of Object.entries(described.labels)) {
    const label = document.createElement('label'), choice = document.createElement('select');
    choice.name = key;
    choice.append(new Option('any', ''), ...values.map(value => new Option(value)));
    label.append(key, choice);
    labels.append(label);
  }
  for (const each of [text, prompt, menu]) if (about.language) each.lang = about.language;
  by('form-label').hidden = !knowsForms(described.tokens);
  write.disabled = by('another').disabled = false;
  if (readLink()) start();
  addEventListener('hashchange', () => {
    form.reset();  // what a link doesn't say is as usual
    if (readLink()) start();
  });
}

/** What is asked for, or an error that says what can't be. */
function asked() {
  const chosen = Object.fromEntries([...labels.querySelectorAll('select')].map(each => [each.name, each.value]));
  const options = {
    prompt: prompt.value.replaceAll('\r\n', '\n'), seed: seed.value.trim(), temperature: Number(temperature.value),
    length: Number(length.value), labels: chosen,
  };
  for (const [name, [, , may, wrong]] of Object.entries(LIMITS)) {
    options[name] = by(name).value.trim() === '' ? NaN : Number(by(name).value);
    if (!may(options[name])) throw new Error(wrong);
  }
  if (by('name').value) {
    options.form = {name: by('name').value, acrostic: by('acrostic').value.trim()};
    placesOf(options.form, described.tokens);
  }
  const {unknown} = writer.encode(options.prompt);
  if (unknown.length) throw new Error(`The model has never seen ${[...new Set(unknown)].slice(0, 10).join(' ')}.`);
  if (!/^[0-9]{1,20}$/.test(options.seed) || BigInt(options.seed) >= 2n ** 64n)
    throw new Error('The seed is a whole number from 0 to 18446744073709551615.');
  if (!Number.isInteger(options.length) || options.length < 1 || options.length > 5000)
    throw new Error('The number of characters is 1 to 5000.');
  return options;
}

/** Write a text; taken: pieces that it begins with. */
async function start(taken = []) {
  running?.stop();
  let options;
  problem.hidden = true;
  try {
    options = asked();
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
    return;
  }
  const run = running = {stop() { run.stopped = true; }};
  if (taken.length) clearLink();
  else writeLink(options);
  write.textContent = 'Stop';
  hide();
  steps = [];
  const given = document.createElement('span');
  given.className = 'given';
  given.textContent = before(options.prompt, options.form);
  text.replaceChildren(given);
  const began = performance.now(), writing = writer.write({...options, taken});
  for (let done = false; !done && !run.stopped;) {
    const until = performance.now() + SLICE, some = document.createDocumentFragment();
    do {
      const next = writing.next();
      done = next.done;
      if (!done) some.append(character(next.value));
    } while (!done && performance.now() < until);
    text.append(some);
    await new Promise(go => setTimeout(go));
  }
  if (running !== run) return;
  const rate = Math.round(1000 * steps.length / Math.max(performance.now() - began, 1));
  told.textContent = `${steps.length} characters, ${rate.toLocaleString('en')} a second.` +
    (run.stopped ? ' Stopped.' : '');
  running = undefined;
  write.textContent = 'Write';
}

function character(step) {
  const span = document.createElement('span');
  span.className = 'drawn';
  span.dataset.n = steps.push(step) - 1;
  span.textContent = step.text;
  return span;
}

/** Show the alternatives of a character. */
function show(n) {
  const span = text.querySelector(`[data-n="${n}"]`), step = steps[n];
  if (!span || !step) return;
  text.querySelector('.shown')?.classList.remove('shown');
  span.classList.add('shown');
  shown = n;
  const {pieces, bytes} = described.tokens;
  menu.querySelector('ol').replaceChildren(...step.alternatives.map(([piece, share], at) => {
    const row = document.createElement('li'), button = document.createElement('button');
    const name = pieces[piece] || (bytes.includes(piece) ? `‹${bytes.indexOf(piece).toString(16)}›` : '‹end›');
    const what = document.createElement('b'), much = document.createElement('span');
    what.textContent = {'\n': '⏎', ' ': '␣'}[name] ?? name;
    much.textContent = share < 0.001 ? '<0.1 %' : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
    button.title = `${at + 1}: go on with this`;
    button.append(what, much);
    button.disabled = !pieces[piece];
    button.setAttribute('aria-label', `${what.textContent}, ${much.textContent}`);
    if (piece === step.pieces[0]) button.setAttribute('aria-current', 'true');
    button.addEventListener('click', () => take(n, piece));
    row.append(button);
    return row;
  }));
  menu.querySelector('p').textContent = step.gate === undefined ? ''
    : `network ${Math.round(100 * step.gate)} %, counts ${Math.round(100 * (1 - step.gate))} %`;
  menu.hidden = false;
  const box = span.getBoundingClientRect(), most = text.getBoundingClientRect().right - menu.offsetWidth;
  menu.style.left = `${scrollX + Math.max(8, Math.min(box.left, most))}px`;
  // Above, where there is no room below.
  const below = box.bottom + 4, above = box.top - menu.offsetHeight - 4;
  menu.style.top = `${scrollY + (below + menu.offsetHeight > innerHeight && above > 0 ? above : below)}px`;
}

function hide() {
  menu.hidden = true;
  text.querySelector('.shown')?.classList.remove('shown');
  shown = -1;
}

/** Put another piece in the place of character n, and go on from there. */
function take(n, piece) {
  if (!described.tokens.pieces[piece]) return;
  start([...steps.slice(0, n).flatMap(step => step.pieces), piece]);
  text.focus({preventScroll: true});
  show(n);
}

const FIELDS = ['prompt', 'temperature', 'length', 'seed', ...Object.keys(LIMITS), 'name', 'acrostic'];

function readLink() {
  const link = new URLSearchParams(location.hash.slice(1));
  for (const name of FIELDS) if (link.has(name)) by(name).value = link.get(name);
  by('more').open = [...Object.keys(LIMITS), 'name'].some(name => link.has(name));
  for (const each of labels.querySelectorAll('select'))
    if (link.has(`label.${each.name}`)) each.value = link.get(`label.${each.name}`);
  tell();
  if (!seed.value) reseed();
  return link.has('seed');
}

function writeLink({labels: chosen, form: poem, ...options}) {
  const link = new URLSearchParams();
  for (const [name, value] of Object.entries({...options, ...poem}))
    if (value !== '' && value !== LIMITS[name]?.[1]) link.set(name, value);
  for (const [key, value] of Object.entries(chosen)) if (value) link.set(`label.${key}`, value);
  history.replaceState(null, '', `#${link}`);
  const quoted = word => /^[\w.,=:/-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
  const begun = options.prompt.replace(/[\\\n\t]/g, c => ({'\\': '\\\\', '\n': '\\n', '\t': '\\t'})[c]);
  const words = ['chargen', 'sample', described.name, ...(begun ? ['--prompt', begun] : []),
    ...(poem ? ['--form', poem.name, ...(poem.acrostic ? ['--acrostic', poem.acrostic] : [])] : ['-n', options.length]),
    '--temp', options.temperature, '--seed', options.seed];
  for (const [name, [flag, usual]] of Object.entries(LIMITS)) if (options[name] !== usual) words.push(flag, options[name]);
  for (const [key, value] of Object.entries(chosen)) if (value) words.push('--label', `${key}=${value}`);
  command.textContent = words.map(word => quoted(String(word))).join(' ');
}

/** No link and no command says which alternative was taken. */
function clearLink() {
  history.replaceState(null, '', '#');
  command.textContent = '';
}

const reseed = () => { seed.value = Math.floor(Math.random() * 2 ** 31); };
const tell = () => {
  form.querySelector('output').textContent = Number(temperature.value).toFixed(2);
  by('acrostic-label').hidden = !by('name').value || by('form-label').hidden;
  by('length-label').hidden = Boolean(by('name').value);
};

form.addEventListener('submit', event => {
  event.preventDefault();
  if (running) running.stop();
  else start();
});
by('another').addEventListener('click', () => { reseed(); start(); });
temperature.addEventListener('input', tell);
by('name').addEventListener('change', tell);
// The same random numbers with other options: only some characters change.
for (const each of [temperature, ...Object.keys(LIMITS).map(by)])
  each.addEventListener('change', () => { if (steps.length) start(); });
document.addEventListener('keydown', event => {
  if (event.key === 'Escape' && running) running.stop();
});
prompt.addEventListener('keydown', event => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
text.addEventListener('pointerover', event => {
  if (event.target.dataset.n !== undefined) show(Number(event.target.dataset.n));
});
text.addEventListener('focus', () => {
  if (steps.length && shown < 0 && text.matches(':focus-visible')) show(0);
});
text.addEventListener('keydown', event => {
  const step = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: 10, ArrowUp: -10}[event.key];
  if (step) show(Math.max(0, Math.min(steps.length - 1, shown + step)));
  else if (/^[1-8]$/.test(event.key) && steps[shown]?.alternatives[event.key - 1])
    take(shown, steps[shown].alternatives[event.key - 1][0]);
  else if (event.key === 'Escape') hide();
  else return;
  event.preventDefault();
});
document.addEventListener('pointerdown', event => {
  if (!menu.contains(event.target) && !text.contains(event.target)) hide();
});

load().catch(error => {
  problem.textContent = `The model can't be loaded: ${error.message}. Serve this folder by a web server, such as python -m http.server.`;
  problem.hidden = false;
});
