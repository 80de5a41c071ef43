// The alternatives of a character: beside it, with their probabilities.

import {bitsOf, percent, shownAs} from './cells.js';

const SHOWN = 8;
const menu = document.getElementById('menu'), list = menu.querySelector('ol'), about = menu.querySelector('p');
let owner, closing;

/**
 * Open the menu of a character.
 *
 * box: of the character; within: an element beyond whose right edge the menu shouldn't go; cell: what is known of it; take: called with the character that is chosen;
 * closed: called when the menu closes; extra: a button [name, action].
 */
export function open({box, within, cell, take, closed, back, extra, focus = false}) {
  if (owner) close();
  keep();
  owner = {closed, back};
  list.replaceChildren(...(cell.likely ?? []).slice(0, SHOWN).map(([piece, nats], n) => {
    const row = document.createElement('li'), button = document.createElement('button');
    const what = document.createElement('b'), much = document.createElement('span');
    const bytes = /^<0x(..)>$/.exec(piece);
    what.textContent = bytes ? `‹${bytes[1]}›` : piece === '</s>' ? '‹end›' : shownAs(piece);
    much.textContent = percent(Math.exp(nats));
    button.type = 'button';
    button.title = `Alt ${n + 1}`;
    button.disabled = Boolean(bytes) || Array.from(piece).length !== 1;
    if (piece === cell.c) button.setAttribute('aria-current', 'true');
    button.append(what, ' ', much);
    button.addEventListener('click', () => {
      close();
      take(piece);
    });
    row.append(button);
    return row;
  }));
  const bits = bitsOf(cell), said = [];
  if (bits !== undefined) said.push(`${shownAs(cell.c)} ${bits.toFixed(1)} bits`);
  if (cell.gate !== undefined)
    said.push(`network ${Math.round(100 * cell.gate)} %, counts ${Math.round(100 * (1 - cell.gate))} %`);
  about.textContent = said.join(' · ');
  if (extra) {
    const button = document.createElement('button');
    button.type = 'button';
    [button.textContent] = extra;
    button.addEventListener('click', () => {
      close();
      extra[1]();
    });
    about.append(' ', button);
  }
  menu.hidden = false;
  const right = Math.min(within?.getBoundingClientRect().right ?? Infinity, document.documentElement.clientWidth - 8);
  const left = Math.min(box.left - 8, right - menu.offsetWidth);
  const below = box.bottom + menu.offsetHeight + 80 < innerHeight || box.top < menu.offsetHeight + 8;
  menu.style.left = `${scrollX + Math.max(8, left)}px`;
  menu.style.top = `${scrollY + (below ? box.bottom + 6 : box.top - menu.offsetHeight - 6)}px`;
  if (focus) (list.querySelector('[aria-current]') ?? list.querySelector('button:enabled'))?.focus();
}

export const isOpen = () => !menu.hidden;

export function close() {
  keep();
  if (menu.hidden) return;
  const {closed, back} = owner, focused = menu.contains(document.activeElement);
  menu.hidden = true;
  owner = undefined;
  closed?.();
  if (focused) back?.focus({preventScroll: true});
}

/** Close it soon, if the pointer doesn't come back. */
export function closeSoon() {
  keep();
  closing = setTimeout(close, 250);
}

export function keep() {
  clearTimeout(closing);
}

menu.addEventListener('pointerenter', keep);
menu.addEventListener('pointerleave', event => { if (event.pointerType === 'mouse') closeSoon(); });
menu.addEventListener('keydown', event => {
  const buttons = [...menu.querySelectorAll('button:enabled')], at = buttons.indexOf(document.activeElement);
  const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
  if (step) buttons[(at + step + buttons.length) % buttons.length]?.focus();
  else if (event.key === 'Escape') close();
  else if (/^[1-8]$/.test(event.key)) list.children[event.key - 1]?.firstChild.click();
  else return;
  event.preventDefault();
  event.stopPropagation();
});
document.addEventListener('pointerdown', event => {
  if (!menu.contains(event.target)) close();
}, {capture: true});
