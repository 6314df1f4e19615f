// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The WebAssembly modules, with one thread and with several: each is loaded once, when it is asked for. And what every call
// of them needs. Nothing here is public but MedsamError.
import { IN_NODE } from "./host.js";
import { NUMBERS_OF_THREADS, sharedMemory, startThreads, threadsFor } from "./threads.js";

/** An error of the engine: what was wrong, what was got, what was expected, what to do. */
export class MedsamError extends Error {
  constructor(message, status) {
    super(message);
    this.name = "MedsamError";
    this.status = status;
  }
}

export function refuse(message) {
  throw new MedsamError(message, "MEDSAM_INVALID_ARGUMENT");
}

async function binaryAt(address) {
  if (IN_NODE) {
    const { readFile } = await import("node:fs/promises");
    return readFile(address);
  }
  const reply = await fetch(address);
  if (!reply.ok) throw new MedsamError(`${address}: got HTTP ${reply.status}; serve the package's files beside each other`, "MEDSAM_BACKEND_ERROR");
  return new Uint8Array(await reply.arrayBuffer());
}

async function startModule() {
  const wasmBinary = await binaryAt(new URL("./medsam_engine.wasm", import.meta.url));
  const { default: createModule } = await import("./medsam_engine.js");
  return createModule({ wasmBinary, print() {}, printErr() {} });
}

async function startThreadedModule() {
  const wasmMemory = sharedMemory();
  const wasmBinary = await binaryAt(new URL("./medsam_engine_threads.wasm", import.meta.url));
  const { default: createModule } = await import("./medsam_engine_threads.js");
  const module = await createModule({ wasmBinary, wasmMemory, print() {}, printErr() {} });
  module.memory = wasmMemory;
  return module;
}

let one, several;

/** The module of this page or process for engines of so many threads, and how many they get: one where several cannot be had. */
export async function loadModule(wanted) {
  const threads = await threadsFor(wanted);
  if (threads === undefined) refuse(`threads: got ${wanted}, expected ${NUMBERS_OF_THREADS}`);
  if (threads > 1) {
    try {
      several ??= startThreadedModule();
      const module = await several;
      await startThreads(module, threads);
      return { module, threads };
    } catch (error) {
      if (error instanceof MedsamError) throw error;
      // A browser that has no worker of this kind, or no address space for memory that is shared; results are the same.
    }
  }
  one ??= startModule();
  return { module: await one, threads: 1 };
}

// The module's memory now: it moves, and is longer, after a call that took more.
function bufferOf(module) {
  return module.memory?.buffer ?? module.HEAPU8.buffer;
}

// After one of these, what the call has left in the module's memory is not known: no later answer of it could be trusted.
function isFailure(error) {
  return error instanceof WebAssembly.RuntimeError || (error instanceof RangeError && /call stack/.test(error.message));
}

const failed = new WeakMap(); // modules, and how

export function expectSound(module) {
  const how = failed.get(module);
  if (how !== undefined) throw new MedsamError(`the engine has failed (${how}), and its memory cannot be trusted; reload the page, or begin a new process`, "MEDSAM_BACKEND_ERROR");
}

/** Gives a handle back by the module's function of this name. */
export function destroy(module, name, handle) {
  if (!failed.has(module)) module[name](handle);
}

/** Memory of the module for one call: what `take` gave is free when `body` returns. */
export function withMemory(module, body) {
  expectSound(module);
  const taken = [];
  const take = (bytes) => {
    // A larger number would reach the module without its upper bits.
    const at = bytes < 2 ** 32 ? module._malloc(Math.max(bytes, 1)) >>> 0 : 0;
    if (at === 0) throw new MedsamError(`there is no memory for ${bytes} bytes; use a smaller image, or close engines and sessions`, "MEDSAM_OUT_OF_MEMORY");
    taken.push(at);
    return at;
  };
  try {
    return body({
      take,
      text(value) {
        // The module reads up to a zero; half of a surrogate pair would become the same sign whichever it was.
        if (typeof value !== "string" || /[\0\p{Surrogate}]/u.test(value)) refuse(`text: got ${JSON.stringify(value) ?? typeof value}, expected a string of whole characters without NUL`);
        const bytes = new TextEncoder().encode(value);
        const at = take(bytes.length + 1);
        const memory = new Uint8Array(bufferOf(module), at, bytes.length + 1);
        memory.set(bytes);
        memory[bytes.length] = 0;
        return at;
      },
      copy(array) {
        const at = take(array.byteLength);
        const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
        new Uint8Array(bufferOf(module), at, bytes.length).set(bytes);
        return at;
      },
      doubles(at, count) {
        return Array.from(new Float64Array(bufferOf(module), at, count));
      },
      pointer(at) {
        return new Uint32Array(bufferOf(module), at, 1)[0];
      },
    });
  } catch (error) {
    if (isFailure(error)) failed.set(module, error.message);
    expectSound(module);
    throw error;
  } finally {
    if (!failed.has(module)) for (const at of taken) module._free(at);
  }
}

/** Throws what the last call said, unless it succeeded. */
export function check(module, status) {
  if (status === 0) return;
  throw new MedsamError(
    module.UTF8ToString(module._medsam_last_error()),
    module.UTF8ToString(module._medsam_status_name(status)),
  );
}

/** `count` elements of the module's memory, until the next call into it. */
export function viewed(module, Type, at, count) {
  return new Type(bufferOf(module), at, count);
}

/** A copy of `count` elements of the module's memory. */
export function copied(module, Type, at, count) {
  return viewed(module, Type, at, count).slice();
}

const PIXEL_TYPES = new Map([
  [Uint8Array, 0],
  [Uint8ClampedArray, 0],
  [Uint16Array, 1],
  [Int16Array, 2],
  [Float32Array, 3],
]);

/** The type of an image's samples, after its sizes are found to be those of its data. */
export function pixelType(what, image, sides) {
  const type = PIXEL_TYPES.get(image?.data?.constructor);
  if (type === undefined) {
    refuse(`${what}: got data of type ${image?.data?.constructor?.name ?? typeof image?.data}, expected Uint8Array, Uint16Array, Int16Array or Float32Array`);
  }
  let count = 1;
  for (const side of [...sides, "channels"]) {
    const value = side === "channels" ? (image.channels ?? 1) : image[side];
    if (!Number.isInteger(value) || value < 1 || value > 2 ** 20) refuse(`${what}: got ${side} ${value}, expected a whole number from 1 to ${2 ** 20}`);
    count *= value;
  }
  if (image.data.length !== count) {
    refuse(`${what}: got ${image.data.length} samples, expected ${count} = ${[...sides, "channels"].join(" * ")}`);
  }
  return type;
}

/** What can be gone through, as an array. */
export function listed(what, given, expected) {
  if (typeof given?.[Symbol.iterator] !== "function" || typeof given === "string") refuse(`${what}: got ${JSON.stringify(given) ?? "nothing"}, expected ${expected}`);
  return Array.from(given);
}

/** `count` numbers as doubles. */
export function numbersOf(what, given, count, expected) {
  const numbers = listed(what, given, expected);
  if (numbers.length !== count || numbers.some((number) => typeof number !== "number")) refuse(`${what}: got ${JSON.stringify(numbers)}, expected ${expected}`);
  return numbers;
}

/** A box's four numbers as doubles. */
export function boxNumbers(what, box) {
  if (!(Array.isArray(box) || ArrayBuffer.isView(box)) || box.length !== 4) refuse(`${what}: got ${JSON.stringify(box) ?? "nothing"}, expected [x0, y0, x1, y1]`);
  return Float64Array.from(box);
}
