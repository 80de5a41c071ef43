// A text as a list of cells, a character each, with what the model says of it.
//
// A cell: {c, nats, gate, likely: [[piece, nats], …], drawn: whether the model wrote it}.

export const cellsOf = text => Array.from(text, c => ({c}));

export const textOf = cells => cells.map(cell => cell.c).join('');

/** The cells of a choice that the server sent with log-probabilities. */
export function cellsFrom(choice, drawn = true) {
  const {tokens = [], token_logprobs: nats = [], top_logprobs: tops = [], gates = []} = choice.logprobs ?? {};
  return tokens.map((c, n) => ({c, nats: -nats[n], gate: gates[n], likely: likelyIn(tops[n]), drawn}));
}

const likelyIn = top => Object.keys(top ?? {}).length > 1
  ? Object.entries(top).sort((a, b) => b[1] - a[1]) : undefined;

/** Where a place in cells lies in the text, in UTF-16 units. */
export function unitsBefore(cells, place) {
  let units = 0;
  for (let n = 0; n < place; n++) units += cells[n].c.length;
  return units;
}

/** The cell at a place in the text. */
export function placeOf(cells, units) {
  let place = 0;
  for (let at = 0; place < cells.length && at < units; place++) at += cells[place].c.length;
  return place;
}

/** Cells of a text that was edited: those before the change are kept, those after it lose their odds. */
export function edited(cells, text) {
  const now = Array.from(text);
  let start = 0, end = 0;
  while (start < now.length && start < cells.length && now[start] === cells[start].c) start++;
  while (end < now.length - start && end < cells.length - start &&
    now[now.length - 1 - end] === cells[cells.length - 1 - end].c) end++;
  return [
    ...cells.slice(0, start),
    ...now.slice(start, now.length - end).map(c => ({c})),
    ...cells.slice(cells.length - end).map(({c, drawn}) => ({c, drawn})),
  ].slice(0, now.length);
}

export const bitsOf = cell => cell.nats === undefined ? undefined : Math.max(0, cell.nats / Math.LN2);

/** How strongly a cell is tinted, 0 to 5; undefined: nothing is known of it. */
export function level(cell, tint) {
  if (tint === 'surprise') {
    const bits = bitsOf(cell);
    return bits === undefined ? undefined : [1, 2.5, 4.5, 7, 10].filter(edge => bits >= edge).length;
  }
  if (tint === 'counts' && cell.gate !== undefined)
    return [0.2, 0.35, 0.5, 0.65, 0.8].filter(edge => 1 - cell.gate >= edge).length;
  return undefined;
}

/** The number that stands for a cell's tint. */
export function mark(cell, tint) {
  if (cell.c === '\n') return '';
  if (tint === 'surprise' && cell.nats !== undefined) return String(Math.round(bitsOf(cell)));
  if (tint === 'counts' && cell.gate !== undefined) return String(Math.round(100 * (1 - cell.gate)));
  return '';
}

export const shownAs = c => ({'\n': '⏎', ' ': '␣', '\t': '⇥', '\u3000': '□'})[c] ?? c;

export function percent(share) {
  if (share >= 0.995) return '>99 %';
  return share < 0.001 ? '<0.1 %' : `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
}
