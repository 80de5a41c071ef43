// Asking the server: the key, JSON, streams of events.

const store = globalThis.sessionStorage;
let asking;

/** What the server says is wrong. */
export class Refused extends Error {
  constructor(status, error) {
    super(error?.message ?? `The server answered with status ${status}.`);
    this.status = status;
    this.code = error?.code;
  }
}

/** The key that the user gives; asked for once, however many requests wait for it. */
function askForKey() {
  asking ??= new Promise(go => {
    const dialog = document.getElementById('ask'), field = document.getElementById('key');
    dialog.addEventListener('cancel', event => event.preventDefault());
    dialog.addEventListener('close', () => {
      store.setItem('chargen-key', field.value.trim());
      asking = undefined;
      go();
    }, {once: true});
    field.value = '';
    dialog.showModal();
  });
  return asking;
}

async function ask(path, {body, signal} = {}) {
  for (;;) {
    const key = store.getItem('chargen-key'), headers = {};
    if (body) headers['content-type'] = 'application/json';
    if (key) headers.authorization = `Bearer ${key}`;
    const answer = await fetch(path, {
      method: body ? 'POST' : 'GET', headers, signal, body: body && JSON.stringify(body),
    });
    if (answer.ok) return answer;
    if (answer.status === 401) {
      await askForKey();
      continue;
    }
    throw new Refused(answer.status, (await answer.json().catch(() => ({}))).error);
  }
}

export const getJson = async (path, options) => (await ask(path, options)).json();

export const runPath = (run, what) => `/runs/${run.split('/').map(encodeURIComponent).join('/')}/${what}`;

/** The runs that there are. */
export const runs = async () => (await getJson('/v1/models')).data;

/** One completion in one piece. */
export const complete = async (body, signal) =>
  (await getJson('/v1/completions', {body, signal})).choices[0];

/** Those of some characters that a form allows in a place of a poem. */
export const fitting = async (run, body) => (await getJson(runPath(run, 'fitting'), {body})).fitting;

/** The parts of a completion as they come. */
export async function* stream(body, signal) {
  const answer = await ask('/v1/completions', {body: {...body, stream: true}, signal});
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const {done, value} = await reader.read();
    if (done) return;
    const events = (rest + value).split('\n\n');
    rest = events.pop();
    for (const event of events) {
      const data = event.slice('data: '.length);
      if (data === '[DONE]') return;
      const part = JSON.parse(data);
      if (part.error) throw new Refused(500, part.error);
      yield part.choices[0];
    }
  }
}
