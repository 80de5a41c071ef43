// The page: its views, its runs, its links.

import {readLink} from './asked.js';
import {runs} from './api.js';
import {view as learn} from './learn.js';
import * as menu from './menu.js';
import {view as poem} from './poem.js';
import {view as write} from './write.js';

const views = {write, poem, learn};
const choice = document.getElementById('run'), problem = document.getElementById('problem');
let known = [], shown, picked;

function show(name) {
  if (name === shown) return;
  if (shown && name === 'learn') refresh();
  shown = name;
  menu.close();
  problem.hidden = true;
  for (const [each, view] of Object.entries(views)) {
    view.hidden = each !== name;
    document.querySelector(`main[data-view=${each}]`).hidden = view.hidden;
    const link = document.querySelector(`nav [data-view=${each}]`);
    if (view.hidden) link.removeAttribute('aria-current');
    else link.setAttribute('aria-current', 'page');
  }
  list();
  views[name].seen?.();
}

/** Look for runs that were begun in the meantime. */
async function refresh() {
  known = await runs().catch(() => known);
  list();
}

/** Offer the runs that the view can use. */
function list() {
  const usable = known.filter(run => shown === 'learn' || run.task === 'lm');
  choice.replaceChildren(...usable.map(run => new Option(run.id)));
  choice.disabled = !usable.length;
  if (!usable.length) {
    problem.textContent = shown === 'learn' ? 'There is no run here.' : 'No run here continues texts.';
    problem.hidden = false;
    return;
  }
  const first = shown === 'poem' ? 'default_for_forms' : 'default';
  choice.value = (usable.find(run => run.id === picked) ?? usable.find(run => run[first]) ?? usable[0]).id;
  use();
}

function use() {
  const run = known.find(each => each.id === choice.value), view = views[shown];
  choice.title = `${run.num_layers} × ${run.cell} of ${run.hidden_size} units, ${run.vocab_size} pieces` +
    `${run.ngram ? `, counts of ${run.ngram}-grams` : ''}, from ${run.corpus}`;
  if (view.run !== run.id) view.use(run);
  view.run = run.id;
  history.replaceState(null, '', view.hash);
}

/** Do what the address asks for. */
function follow() {
  const link = readLink();
  show(link.view in views ? link.view : 'write');
  if (link.run && link.run !== choice.value) pick(link.run);
  if (link.run && link.run !== choice.value) {
    problem.textContent = views[shown].notice = `There is no run ${link.run} here.`;
    problem.hidden = false;
  }
  views[shown].open(link);
  if (shown === 'write' && matchMedia('(pointer: fine)').matches) write.focus();
}

/** Choose a run for all views that can use it. */
function pick(run) {
  picked = run;
  for (const view of Object.values(views)) view.notice = undefined;
  list();
}

choice.addEventListener('change', () => pick(choice.value));
addEventListener('hashchange', follow);
for (const each of document.querySelectorAll('nav a')) {
  each.addEventListener('click', event => {
    event.preventDefault();
    show(each.dataset.view);
    views[shown].focus?.();
  });
}
addEventListener('keydown', event => {
  if (!document.querySelector('dialog[open]')) views[shown]?.key?.(event);
});

try {
  known = await runs();
  follow();
} catch (error) {
  problem.textContent = error.message;
  problem.hidden = false;
}
