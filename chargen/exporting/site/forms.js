// Forms of poems that need no pronunciation, as masks: see chargen/generation/poems.

export const FORMS = {wujue: [4, 5], qijue: [4, 7]};
const HANZI = /^[\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{323af}]$/u;
const MARKS = ['，', '。\n', '，', '。'];

/** The pieces that are Chinese characters. */
export const hanziIn = pieces => pieces.flatMap((piece, id) => HANZI.test(piece) ? [id] : []);

/** Whether a run has the characters of a poem. */
export const knowsForms = ({pieces}) =>
  MARKS.join('').split('').every(mark => pieces.includes(mark)) && hanziIn(pieces).length >= 28;

/** What stands before the text: a poem begins on a line of its own. */
export const before = (prompt, form) => form && prompt && !prompt.endsWith('\n') ? `${prompt}\n` : prompt;

/** What a poem may have at each of its places: a list of ids for each; an error where it can't be. */
export function placesOf({name, acrostic = ''}, {pieces}) {
  const [verses, size] = FORMS[name], first = [...acrostic], hanzi = hanziIn(pieces);
  if (first.length > verses) throw new Error(`The acrostic has ${first.length} characters, and the poem has only ${verses} verses.`);
  const unknown = first.filter(c => !HANZI.test(c) || !pieces.includes(c));
  if (unknown.length) throw new Error(`The acrostic has what the model can't write: ${unknown.join(' ')}.`);
  return Array.from({length: verses}, (_, verse) => [
    ...Array.from({length: size}, (_, n) => n || !first[verse] ? hanzi : [pieces.indexOf(first[verse])]),
    ...[...MARKS[verse]].map(mark => [pieces.indexOf(mark)]),
  ]).flat();
}
