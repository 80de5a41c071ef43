// Products of a matrix and a vector: nearly all of a step's work. In WebAssembly where it has SIMD,
// assembled below from its instructions; otherwise, and for odd sizes, in plain JavaScript.

/** A function (x, c, to) for each matrix {data, shape: [rows, columns]}: to = matrix·x + c. */
export function productsOf(matrices) {
  const suited = matrices.filter(({shape: [rows, columns]}) => rows >= 4 && columns % 4 === 0);
  const fast = suited.length && WebAssembly.validate(program) ? inWebAssembly(suited) : new Map();
  return new Map(matrices.map(each => [each, fast.get(each) ?? inJavaScript(each)]));
}

function inJavaScript({data, shape: [rows, columns]}) {
  return (x, c, to) => {
    for (let row = 0; row < rows; row++) {
      let sum = c ? c[row] : 0;
      for (let n = 0, at = row * columns; n < columns; n++) sum += data[at + n] * x[n];
      to[row] = sum;
    }
  };
}

function inWebAssembly(matrices) {
  const most = which => Math.max(...matrices.map(({shape}) => 16 * Math.ceil(shape[which] / 4)));
  const from = 0, into = most(1), weights = into + most(0);
  const bytes = matrices.reduce((sum, {data}) => sum + data.byteLength, weights);
  const memory = new WebAssembly.Memory({initial: Math.ceil(bytes / 65536)});
  const {multiply} = new WebAssembly.Instance(new WebAssembly.Module(program), {m: {m: memory}}).exports;
  const numbers = new Float32Array(memory.buffer), found = new Map();
  let place = weights;
  for (const matrix of matrices) {
    const {data, shape: [rows, columns]} = matrix, start = place;
    numbers.set(data, start / 4);
    place += data.byteLength;
    const product = numbers.subarray(into / 4, into / 4 + rows);
    found.set(matrix, (x, c, to) => {
      numbers.set(x, from);
      multiply(start, from, into, rows, 4 * columns);
      to.set(product);
      if (c) for (let n = 0; n < rows; n++) to[n] += c[n];
    });
  }
  return found;
}

// multiply(matrix, x, to, rows, stride): the first three are addresses, the stride is the bytes of a
// row. Four rows at a time, with a sum of four lanes for each; the last four may overlap others.
const [matrix, x, to, rows, stride, row, n, at, part, sum] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const get = local => [0x20, local], set = local => [0x21, local], number = value => [0x41, value];
const add = 0x6A, subtract = 0x6B, times = 0x6C, less = 0x48, more = 0x4A, end = 0x0B;
const loop = [0x03, 0x40], when = [0x04, 0x40], again = [0x0D, 0];
const load4 = [0xFD, 0x00, 4, 0], add4 = [0xFD, 0xE4, 1], times4 = [0xFD, 0xE6, 1];
const zero4 = [0xFD, 0x0C, ...new Array(16).fill(0)], lane = which => [0xFD, 0x1F, which];
const addF = 0x92, storeF = which => [0x38, 2, 4 * which], four = [0, 1, 2, 3];
const body = [
  loop,
  get(row), get(rows), number(4), subtract, more, when,
  get(rows), number(4), subtract, set(row), end,
  get(matrix), get(row), get(stride), times, add, set(at),
  four.map(each => [zero4, set(sum + each)]),
  number(0), set(n),
  loop,
  get(x), get(n), add, load4, set(part),
  four.map(each => [
    get(sum + each), get(part), get(at), get(n), add, get(stride), number(each), times, add, load4,
    times4, add4, set(sum + each),
  ]),
  get(n), number(16), add, set(n), get(n), get(stride), less, again, end,
  four.map(each => [
    get(to), get(row), number(4), times, add,
    four.map(which => [get(sum + each), lane(which), which ? addF : []]), storeF(each),
  ]),
  get(row), number(4), add, set(row), get(row), get(rows), less, again, end, end,
].flat(Infinity);
const I32 = 0x7F, V128 = 0x7B;
const sized = bytes => [bytes.length & 0x7F | 0x80, bytes.length >> 7, ...bytes];  // up to 16 KB
const section = (kind, ...bytes) => [kind, ...sized(bytes.flat())];
const program = new Uint8Array([
  0, 0x61, 0x73, 0x6D, 1, 0, 0, 0,
  ...section(1, 1, 0x60, 5, I32, I32, I32, I32, I32, 0),
  ...section(2, 1, 1, 0x6D, 1, 0x6D, 2, 0, 1),
  ...section(3, 1, 0),
  ...section(7, 1, 8, [...'multiply'].map(each => each.charCodeAt()), 0, 0),
  ...section(10, 1, sized([2, 3, I32, 5, V128, ...body])),
]);
