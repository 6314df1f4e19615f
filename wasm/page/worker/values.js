// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Values of files in the types that the engine takes, as medsam_engine.io.engine_values has them: uint8, int16, uint16 or
// finite float32. Integers stay exact.
const EXACT = 1 << 24; // float32 has all whole numbers up to here
const LARGEST = 3.4028234663852886e38;

const KEPT = [Uint8Array, Int16Array, Uint16Array];
const FLOATS = [Float32Array, Float64Array];

function float32(values, name) {
  let bad = 0, beyond = false;
  for (const value of values) {
    if (!Number.isFinite(value)) bad++;
    else if (Math.abs(value) > LARGEST) beyond = true;
  }
  if (bad) throw new Error(`image: got ${bad} voxels that are NaN or infinite in ${name}, expected finite values; replace them by the background's value`);
  if (beyond) throw new Error(`image: got values beyond float32 in ${name}, expected smaller ones; rescale the image`);
  return values instanceof Float32Array ? values : Float32Array.from(values);
}

// Whole numbers, as numbers or as BigInts: the narrowest type that holds them. `unsigned` ones are tried as such first.
function whole(values, unsigned, name) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    const number = Number(value);
    if (number < low) low = number;
    if (number > high) high = number;
  }
  if (!values.length) [low, high] = [0, 0];
  const types = [[Int16Array, -32768, 32767], [Uint16Array, 0, 65535]];
  for (const [Type, least, most] of unsigned ? types.reverse() : types) {
    if (least <= low && high <= most) return Type.from(values, Number);
  }
  if (Math.max(-low, high) <= EXACT) return Float32Array.from(values, Number);
  throw new Error(`image: got values ${low} to ${high} in ${name}, expected at most 24 bits; rescale the image`);
}

// Of values as a file has them.
export function engineValues(values, name) {
  if (KEPT.some((Type) => values instanceof Type)) return values;
  if (FLOATS.some((Type) => values instanceof Type)) return float32(values, name);
  return whole(values, values instanceof Uint32Array || values instanceof BigUint64Array, name);
}

// Largest magnitude of a whole number of a type.
function reach(values) {
  if (values instanceof BigInt64Array || values instanceof BigUint64Array) return 2 ** 63;
  const bits = 8 * values.BYTES_PER_ELEMENT;
  return [Int8Array, Int16Array, Int32Array].some((Type) => values instanceof Type) ? 2 ** (bits - 1) : 2 ** bits - 1;
}

// Of slope * values + intercept.
export function rescaledValues(values, slope, intercept, name) {
  if (slope === 1 && intercept === 0) return engineValues(values, name);
  const floats = FLOATS.some((Type) => values instanceof Type);
  const exact = !floats && Number.isInteger(slope) && Number.isInteger(intercept) && reach(values) * Math.abs(slope) + Math.abs(intercept) < 2 ** 63;
  const scaled = Float64Array.from(values, (value) => Number(value) * slope + intercept);
  return exact ? whole(scaled, false, name) : float32(scaled, name);
}
