// Tensors from the bytes of a safetensors file.

const kinds = {
  F64: Float64Array, F32: Float32Array, I64: BigInt64Array, U32: Uint32Array, U16: Uint16Array,
  U8: Uint8Array, F16: Uint16Array,
};

/** Return {name: {data, shape}}. float16 becomes float32, and int64 float64. */
export function readTensors(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const tensors = {};
  delete header.__metadata__;
  for (const [name, {dtype, shape, data_offsets: [start, end]}] of Object.entries(header)) {
    let data = new kinds[dtype](buffer.slice(8 + length + start, 8 + length + end));
    if (dtype === 'F16') data = widened(data);
    if (dtype === 'I64') data = Float64Array.from(data, Number);
    tensors[name] = {data, shape};
  }
  return tensors;
}

/** float16, as its bits, to float32. */
function widened(bits) {
  const numbers = new Float32Array(bits.length);
  for (let n = 0; n < bits.length; n++) {
    const sign = bits[n] & 0x8000 ? -1 : 1, exponent = bits[n] >> 10 & 31, rest = bits[n] & 1023;
    numbers[n] = sign * (exponent ? 2 ** (exponent - 15) * (1 + rest / 1024) : rest * 2 ** -24);
  }
  return numbers;
}
