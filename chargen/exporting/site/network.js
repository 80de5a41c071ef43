// One step of the network, from the list of operations in model.json. A value is one row: a vector.

import {productsOf} from './products.js';

const elementwise = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
  Mod: (a, b) => a % b,
  Equal: (a, b) => Number(a === b),
  Neg: a => -a,
  Relu: a => Math.max(0, a),
  Tanh: Math.tanh,
  Sigmoid: a => 1 / (1 + Math.exp(-a)),
  Softplus: a => Math.max(0, a) + Math.log1p(Math.exp(-Math.abs(a))),
  Unsqueeze: a => a,
};

export class Network {
  /** step: from model.json; tensors: from readTensors. */
  constructor(step, tensors) {
    this.values = {};
    for (const [name, {data}] of Object.entries(tensors)) this.values[name] = data;
    for (const [name, {size, whole}] of Object.entries(step.inputs))
      this.values[name] = new (whole ? Float64Array : Float32Array)(size);
    this.shapes = tensors;
    this.products = productsOf(step.nodes.filter(node => node.op === 'Gemm')
      .map(node => tensors[node.inputs[1]]).filter((each, n, all) => all.indexOf(each) === n));
    this.operations = step.nodes.map(node => this.operation(node));
    this.logits = this.values[step.outputs.logits];
    this.gate = this.values[step.outputs.gate];
    this.states = Object.keys(step.inputs).filter(name => name.startsWith('state')).map(name =>
      [this.values[name], this.values[step.outputs[name.replace('state', 'next')]]]);
  }

  /** Begin a text; labels is the vector that its labels make. */
  begin(labels = []) {
    for (const [before] of this.states) before.fill(0);
    this.values.labels?.set(labels);
  }

  /** Read a piece: afterwards logits and gate are those of the next one. */
  read(piece) {
    this.values.ids[0] = piece;
    for (const run of this.operations) run();
    for (const [before, after] of this.states) before.set(after);
  }

  /** A function that carries an operation out, from arrays to an array that it makes. */
  operation({op, inputs, output, start, end, low, high}) {
    const from = inputs.map(name => this.values[name]);
    const [a, b, c] = from;
    const make = size => this.values[output] = new (op !== 'Gather' && op !== 'Where' &&
      from.every(each => each instanceof Float64Array) ? Float64Array : Float32Array)(size);
    switch (op) {
      case 'Gather': {
        const size = this.shapes[inputs[0]].shape[1], to = make(size);
        return () => to.set(a.subarray(b[0] * size, (b[0] + 1) * size));
      }
      case 'Gemm': {
        const matrix = this.shapes[inputs[1]], to = make(matrix.shape[0]);
        const multiply = this.products.get(matrix);
        return () => multiply(a, c, to);
      }
      case 'Slice': {
        const to = make(end - start), part = a.subarray(start, end);
        return () => to.set(part);
      }
      case 'Concat': {
        const to = make(from.reduce((size, each) => size + each.length, 0));
        return () => from.reduce((at, each) => (to.set(each, at), at + each.length), 0);
      }
      case 'Where': {
        const to = make(b.length);
        return () => { for (let n = 0; n < to.length; n++) to[n] = a[n % a.length] ? b[n] : c[n]; };
      }
      case 'Clip': {
        const to = make(a.length);
        return () => { for (let n = 0; n < to.length; n++) to[n] = Math.min(high, Math.max(low, a[n])); };
      }
      case 'Softmax': {
        const to = make(a.length);
        return () => { to.set(a); softmax(to); };
      }
    }
    return broadcast(elementwise[op], a, b, make(Math.max(a.length, b?.length ?? 0)));
  }
}

/** f of a, or of a and b, of which one may be a single number for all. */
function broadcast(f, a, b, to) {
  // A function of its own for each f: the compiler then puts it into the loop.
  const loop = new Map([
    [false, (a, b, to) => { for (let n = 0; n < to.length; n++) to[n] = f(a[n]); }],
    [true, (a, b, to) => {
      const one = a.length > 1 || to.length === 1 ? 1 : 0;
      const two = b.length > 1 || to.length === 1 ? 1 : 0;
      for (let n = 0; n < to.length; n++) to[n] = f(a[n * one], b[n * two]);
    }],
  ]).get(b !== undefined);
  return () => loop(a, b, to);
}

/** softmax in place. */
export function softmax(numbers) {
  let most = -Infinity, sum = 0;
  for (const each of numbers) if (each > most) most = each;
  for (let n = 0; n < numbers.length; n++) sum += numbers[n] = Math.exp(numbers[n] - most);
  for (let n = 0; n < numbers.length; n++) numbers[n] /= sum;
}
