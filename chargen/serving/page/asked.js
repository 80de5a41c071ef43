// What is asked for: the options of the page, a link that holds them, the command that does the same.

/** Options by the server's names, with the flags of chargen sample and what stands there by default. */
const OPTIONS = {
  temperature: ['--temp', 0.8], top_k: ['--top-k', 0], top_p: ['--top-p', 1], min_p: ['--min-p', 0],
  recall: ['--recall', 1], repetition_penalty: ['--repetition-penalty', 1], end: ['--end', 'none'],
};
const FORM = {
  name: ['--form'], acrostic: ['--acrostic', ''], pattern: ['--pattern', ''], tones: ['--tones', 'none'],
};

export const newSeed = () => String(crypto.getRandomValues(new Uint32Array(1))[0] >>> 1);

/** A number in JSON that keeps all digits of a seed. */
export const bodyOf = asked => {
  const {run, prompt, seed, length, form, labels = {}, ...options} = asked;
  const label = Object.entries(labels).filter(([, value]) => value).map(([key, value]) => `${key}=${value}`);
  const digits = String(BigInt(seed));  // JSON knows no 007
  return {
    model: run, prompt, max_tokens: length, seed: JSON.rawJSON ? JSON.rawJSON(digits) : Number(digits),
    logprobs: form ? 20 : 8, ...options, ...(form && {form}), ...(label.length && {label}),
  };
};

const quoted = word => /^[\w.,=:/+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

const escapes = {'\\': '\\\\', '\n': '\\n', '\t': '\\t', '\r': '\\r'};

/** The command that writes the same text. */
export function commandOf(asked) {
  const words = ['chargen', 'sample', asked.run];
  if (asked.prompt) words.push('--prompt', asked.prompt.replace(/[\\\n\t\r]/g, c => escapes[c]));
  if (asked.form) {
    for (const [name, [flag, nothing]] of Object.entries(FORM))
      if ((asked.form[name] ?? nothing) !== nothing) words.push(flag, asked.form[name]);
    if (asked.form.rhyme) words.push('--rhyme');
  } else words.push('-n', asked.length);
  for (const [name, [flag, nothing]] of Object.entries(OPTIONS))
    if ((asked[name] ?? nothing) !== nothing) words.push(flag, asked[name]);
  words.push('--seed', asked.seed);
  for (const [key, value] of Object.entries(asked.labels ?? {})) if (value) words.push('--label', `${key}=${value}`);
  return words.map(word => quoted(String(word))).join(' ');
}

/** What stands behind # in a link. */
export function linkOf({form, labels, ...asked}) {
  const link = new URLSearchParams();
  for (const [name, value] of Object.entries({...(form && {view: 'poem'}), ...asked, ...form}))
    if (value !== undefined && value !== '' && value !== false) link.set(name, value);
  for (const [key, value] of Object.entries(labels ?? {})) if (value) link.set(`label.${key}`, value);
  return `#${link}`;
}

export function readLink(hash = location.hash) {
  const link = Object.fromEntries(new URLSearchParams(hash.slice(1)));
  link.labels = {};
  for (const name of Object.keys(link))
    if (name.startsWith('label.')) link.labels[name.slice('label.'.length)] = link[name];
  return link;
}

export const whole = text => /^[0-9]{1,20}$/.test(text) && BigInt(text) < 2n ** 64n;

/** A field for each label that a run knows. */
export function labelFields(place, known, chosen = {}) {
  place.replaceChildren(...Object.entries(known).map(([key, values]) => {
    const label = document.createElement('label'), choice = document.createElement('select');
    label.className = 'field';
    choice.name = key;
    choice.append(new Option('any', ''), ...values.map(value => new Option(value)));
    choice.value = values.includes(chosen[key]) ? chosen[key] : '';
    label.append(key, choice);
    return label;
  }));
}

export const labelsIn = place =>
  Object.fromEntries([...place.querySelectorAll('select')].map(each => [each.name, each.value]));

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {  // without TLS there is no clipboard, but for localhost
    const field = document.createElement('textarea');
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand('copy');
    field.remove();
  }
}
