// The view "Learning": a run's curves, and what it wrote on the way.

import {getJson, runPath} from './api.js';
import {linkOf} from './asked.js';

const by = id => document.getElementById(id);
const svg = by('curves'), time = by('time'), AGAIN = 2000;
const HEIGHT = 300, LEFT = 44, RIGHT = 12, TOP = 12, BOTTOM = 28;
let run, record, timer, follows = true, left = false;

export const view = {
  get hash() { return linkOf({view: 'learn', run}); },
  use(chosen) {
    run = chosen.id;
    record = undefined;
    follows = true;
    load();
  },
  open() { load(); },
  /** Follow a run again that goes on, and wasn't followed while the view was hidden. */
  seen() { if (left) load(); },
};

async function load() {
  clearTimeout(timer);
  left = false;
  if (!run) return;
  const asked = run;
  try {
    const found = await getJson(runPath(run, 'record'));
    if (asked !== run) return;
    record = found;
    draw();
  } catch (error) {
    by('learn-told').textContent = error.message;
  }
  if (!record?.ended) timer = setTimeout(() => { if (view.hidden) left = true; else load(); }, AGAIN);
}

function draw() {
  const {samples, validation, training, steps, seconds, ended, unit, mixed, total_steps: total} = record;
  const best = validation.reduce((a, b) => (a && a[1] <= b[1] ? a : b), undefined);
  by('learn-told').textContent = !steps && !training.length
    ? 'This run has no record of its training: it came from elsewhere. Of a run that is trained here, this page shows the curves, and what it wrote at each step.' :
    `${steps.toLocaleString('en')} steps${!ended && total ? ` of ${total.toLocaleString('en')}` : ''} in ${spent(seconds)}` +
    `${best ? `; best ${best[1].toFixed(3)} ${unit}, at step ${best[0].toLocaleString('en')}` : ''}` +
    `${ended === 'diverged' ? '; it diverged' : ended ? '' : '; it has not ended'}.`;
  by('unit').textContent = `${unit}${mixed ? '; training: the mean with and without counts' : ''}`;
  by('curves').parentNode.hidden = !training.length && !validation.length;
  by('then').hidden = !samples.length;
  by('time-label').hidden = samples.length < 2;
  time.max = Math.max(0, samples.length - 1);
  if (follows) time.value = time.max;
  picture(training, validation, best, Math.max(steps, ended ? 0 : total ?? 0, 1));
  then();
}

const spent = seconds => seconds < 90 ? `${Math.round(seconds)} s` :
  seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;

function node(name, attributes, text) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** The curves: steps to the right, upwards what a character costs. */
function picture(training, validation, best, last) {
  const values = [...training, ...validation].map(point => point[1]);
  const low = Math.min(...values, Infinity), high = Math.max(...values, -Infinity);
  const WIDTH = Math.max(300, svg.clientWidth);
  svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
  if (!values.length) return svg.replaceChildren();
  const each = nice((high - low || 1) / 4), bottom = Math.floor(low / each) * each;
  const top = Math.max(Math.ceil(high / each) * each, bottom + each);
  const x = step => LEFT + (WIDTH - LEFT - RIGHT) * step / last;
  const y = value => TOP + (HEIGHT - TOP - BOTTOM) * (top - value) / (top - bottom);
  const parts = [];
  for (let value = bottom; value < top + each / 2; value += each) {
    parts.push(node('line', {class: 'grid', x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value)}));
    parts.push(node('text', {x: LEFT - 8, y: y(value) + 4, 'text-anchor': 'end'}, String(Number(value.toPrecision(4)))));
  }
  const stride = nice(last / (WIDTH < 500 ? 3 : 5));
  for (let step = 0; step <= last; step += stride)
    parts.push(node('text', {x: x(step), y: HEIGHT - 8, 'text-anchor': !step ? 'start' : x(step) > WIDTH - RIGHT - 20 ? 'end' : 'middle'}, step.toLocaleString('en')));
  for (const [name, points] of Object.entries({training, validation}))
    parts.push(node('polyline', {class: name, points: points.map(([step, value]) => `${x(step)},${y(value)}`).join(' ')}));
  for (const [step, value] of validation)
    parts.push(node('circle', {class: 'validation', cx: x(step), cy: y(value), r: step === best[0] ? 5 : 3}));
  parts.push(node('line', {class: 'now', y1: TOP, y2: HEIGHT - BOTTOM}));
  svg.replaceChildren(...parts);
  svg.at = x;
  svg.setAttribute('aria-label', best
    ? `Validation goes from ${validation[0][1].toFixed(2)} to ${validation.at(-1)[1].toFixed(2)}, training to ${training.at(-1)[1].toFixed(2)}.`
    : `Training goes from ${training[0][1].toFixed(2)} to ${training.at(-1)[1].toFixed(2)}.`);
}

/** A round number that is not smaller. */
function nice(number) {
  const ten = 10 ** Math.floor(Math.log10(number));
  return [1, 2, 5, 10].map(n => n * ten).find(n => n >= number * 0.999);
}

/** The sample at the step that the slider stands at. */
function then() {
  const sample = record?.samples[time.value], now = svg.querySelector('.now');
  document.querySelector('[for=time]').textContent = sample ? sample.step.toLocaleString('en') : '';
  time.setAttribute('aria-valuetext', sample ? `step ${sample.step}` : '');
  by('then').textContent = sample?.text ?? '';
  now?.setAttribute('visibility', sample ? 'visible' : 'hidden');
  if (sample && now) for (const name of ['x1', 'x2']) now.setAttribute(name, svg.at(sample.step));
}

addEventListener('resize', () => { if (record && !view.hidden) draw(); });
time.addEventListener('input', () => {
  follows = time.value === time.max;
  then();
});
