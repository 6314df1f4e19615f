// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
import { MedsamError, boxNumbers, check, copied, destroy, listed, loadModule, numbersOf, pixelType, refuse, withMemory } from "./module.js";
import { Session } from "./session.js";

let bundles = 0;

// What is destroyed when nobody holds it any more, for callers who do not close.
const forgotten = new FinalizationRegistry(({ module, name, handle }) => destroy(module, name, handle));

/** A handle of the module, with a name for errors. */
class Handle {
  #module;
  #handle;
  #destroyer;
  constructor(module, handle, destroyer) {
    this.#module = module;
    this.#handle = handle;
    this.#destroyer = destroyer;
    forgotten.register(this, { module, name: destroyer, handle }, this);
  }
  /** @internal */
  get module() {
    return this.#module;
  }
  /** @internal */
  get handle() {
    if (this.#handle === 0) refuse(`${this.constructor.name}: it was closed; make another one`);
    return this.#handle;
  }
  close() {
    if (this.#handle === 0) return;
    forgotten.unregister(this);
    destroy(this.#module, this.#destroyer, this.#handle);
    this.#handle = 0;
  }
}

export class Embedding extends Handle {
  #info;
  constructor(module, handle) {
    super(module, handle, "_medsam_embedding_destroy");
    this.#info = withMemory(module, (memory) => {
      const at = memory.take(7 * 8);
      check(module, module._medsam_wasm_embedding_info(handle, at));
      return memory.doubles(at, 7);
    });
  }
  get height() {
    return this.#info[1];
  }
  get width() {
    return this.#info[2];
  }
  get shape() {
    return this.#info.slice(3);
  }
  values() {
    void this.handle;
    return copied(this.module, Float32Array, this.#info[0], this.shape.reduce((a, b) => a * b, 1));
  }
}

export class Prediction extends Handle {
  #info;
  constructor(module, handle) {
    super(module, handle, "_medsam_prediction_destroy");
    this.#info = withMemory(module, (memory) => {
      const at = memory.take(6 * 8);
      check(module, module._medsam_wasm_prediction_info(handle, at));
      return memory.doubles(at, 6);
    });
  }
  get count() {
    return this.#info[1];
  }
  get height() {
    return this.#info[4];
  }
  get width() {
    return this.#info[5];
  }
  get logitsShape() {
    return [this.#info[1], this.#info[2], this.#info[3]];
  }
  mask(index = 0) {
    if (!Number.isInteger(index) || index < 0 || index >= this.count) refuse(`mask: got ${index}, expected a number from 0 to ${this.count - 1}`);
    const bytes = this.height * this.width;
    return withMemory(this.module, (memory) => {
      const at = memory.take(bytes);
      check(this.module, this.module._medsam_wasm_prediction_mask(this.handle, index, at, bytes));
      return copied(this.module, Uint8Array, at, bytes);
    });
  }
  #floats(read, count) {
    return withMemory(this.module, (memory) => {
      const at = memory.take(4 * count);
      check(this.module, this.module[read](this.handle, at, count));
      return copied(this.module, Float32Array, at, count);
    });
  }
  logits() {
    return this.#floats("_medsam_prediction_read_logits", this.logitsShape.reduce((a, b) => a * b, 1));
  }
  iou() {
    return this.#floats("_medsam_prediction_read_iou", this.count);
  }
}

// Of a folder that is served.
function addressOf(given) {
  let address = null;
  try {
    address = new URL(String(given).replace(/\/?$/, "/"), globalThis.location?.href);
  } catch {
    // told below
  }
  if (!/^(https?|blob):$/.test(address?.protocol)) refuse(`bundle: got the address ${JSON.stringify(String(given))}, expected one of http or https, and a whole one in node; read files yourself for Engine.load`);
  return address;
}

async function bytesOf(name, content) {
  if (content instanceof ArrayBuffer) return new Uint8Array(content);
  if (ArrayBuffer.isView(content)) return new Uint8Array(content.buffer, content.byteOffset, content.byteLength);
  if (typeof Blob !== "undefined" && content instanceof Blob) return new Uint8Array(await content.arrayBuffer());
  return refuse(`bundle file ${name}: got ${content?.constructor?.name ?? typeof content}, expected a Uint8Array, an ArrayBuffer or a Blob`);
}

export class Engine extends Handle {
  #info;
  constructor(module, handle, threads) {
    super(module, handle, "_medsam_engine_destroy");
    const text = module._medsam_wasm_engine_info(handle);
    if (text === 0) throw new MedsamError(module.UTF8ToString(module._medsam_last_error()), "MEDSAM_BACKEND_ERROR");
    this.#info = Object.freeze({ ...JSON.parse(module.UTF8ToString(text)), threads });
  }

  static async load(files, options = {}) {
    const { profile = "clinical", modality = "", precision = "f32" } = options;
    if (precision !== "f32" && precision !== "auto") {
      throw new MedsamError(`precision: got ${JSON.stringify(precision)}, expected "f32" or "auto", which is f32 here; WebAssembly computes in no other`, "MEDSAM_UNSUPPORTED");
    }
    if (typeof files !== "object" || files === null) refuse(`bundle: got ${JSON.stringify(files) ?? "nothing"}, expected its files by their names`);
    const { module, threads } = await loadModule(options.threads);
    const folder = `/bundle${++bundles}`;
    const { FS } = module;
    const names = [];
    FS.mkdir(folder);
    let kept = false;
    try {
      for (const [name, content] of files instanceof Map ? files : Object.entries(files)) {
        if (!/^[\w.-]+$/.test(name) || /^\.+$/.test(name)) refuse(`bundle file: got the name ${JSON.stringify(name)}, expected a plain file name`);
        FS.writeFile(`${folder}/${name}`, await bytesOf(name, content), { canOwn: true });
        names.push(name);
      }
      const handle = withMemory(module, (memory) => {
        const at = memory.take(4);
        check(module, module._medsam_wasm_engine_create(memory.text(folder), memory.text(profile), memory.text(modality), threads, at));
        return memory.pointer(at);
      });
      const engine = new Engine(module, handle, threads);
      kept = engine.info.experts.length > 0; // which are loaded when an image asks for them
      return engine;
    } finally {
      if (!kept) {
        for (const name of names) FS.unlink(`${folder}/${name}`);
        FS.rmdir(folder);
      }
    }
  }

  static async fetch(address, options = {}) {
    const base = addressOf(address);
    const get = async (name) => {
      const reply = await fetch(new URL(name, base), { signal: options.signal }).catch((error) => {
        if (options.signal?.aborted) throw error;
        throw new MedsamError(`${new URL(name, base)}: got no answer (${error.message}), expected the file of a bundle; is it served?`, "MEDSAM_MODEL_ERROR");
      });
      if (!reply.ok) throw new MedsamError(`${new URL(name, base)}: got HTTP ${reply.status}, expected the file of a bundle`, "MEDSAM_MODEL_ERROR");
      return new Uint8Array(await reply.arrayBuffer());
    };
    const manifest = await get("manifest.json");
    const names = new Set(new TextDecoder().decode(manifest).match(/[\w.-]+\.safetensors/g) ?? []);
    const files = new Map([["manifest.json", manifest]]);
    for (const name of names) files.set(name, await get(name));
    return Engine.load(files, options);
  }

  get info() {
    return this.#info;
  }

  // An address of the one module's memory means nothing in the other's.
  #expectOwnMemory(embedding) {
    if (embedding.module !== this.module) refuse("embedding: it is of an engine with one thread and this one has several, or the other way round; encode the image with this engine");
  }

  encode(image, options = {}) {
    const type = pixelType("image", image, ["height", "width"]);
    const { module } = this;
    return withMemory(module, (memory) => {
      const at = memory.take(4);
      check(module, module._medsam_wasm_encode(this.handle, memory.copy(image.data), type, image.channels ?? 1, image.height, image.width, memory.text(options.modality ?? ""), at));
      return new Embedding(module, memory.pointer(at));
    });
  }

  predict(embedding, prompt, options = {}) {
    if (!(embedding instanceof Embedding)) refuse("predict: expected an Embedding of Engine.encode");
    this.#expectOwnMemory(embedding);
    const points = listed("points", prompt?.points ?? [], "{ x, y, label } of each");
    const { module } = this;
    return withMemory(module, (memory) => {
      const box = prompt?.box === undefined ? 0 : memory.copy(boxNumbers("prompt.box", prompt.box));
      const numbers = Float64Array.from(points.flatMap(({ x, y, label }) => [x, y, label]));
      const at = memory.take(4);
      check(module, module._medsam_wasm_predict(this.handle, embedding.handle, box, memory.copy(numbers), points.length, options.multimask ? 1 : 0, at));
      return new Prediction(module, memory.pointer(at));
    });
  }

  segment(imageOrEmbedding, boxes, options = {}) {
    const given = imageOrEmbedding instanceof Embedding;
    const numbers = Float64Array.from(listed("boxes", boxes, "boxes [x0, y0, x1, y1]").flatMap((box, k) => Array.from(boxNumbers(`boxes[${k}]`, box))));
    if (given) this.#expectOwnMemory(imageOrEmbedding);
    const embedding = given ? imageOrEmbedding : this.encode(imageOrEmbedding, options);
    const { module } = this, { height, width } = embedding, count = numbers.length / 4;
    try {
      return withMemory(module, (memory) => {
        const labels = memory.take(2 * height * width), at = memory.take(6 * 8 * count);
        check(module, module._medsam_wasm_segment(this.handle, embedding.handle, memory.copy(numbers), count, labels, height, width, at));
        const objects = Array.from({ length: count }, (_, k) => {
          const [area, x0, y0, x1, y1, iou] = memory.doubles(at + 48 * k, 6);
          return { area, box: [x0, y0, x1, y1], iou };
        });
        return { height, width, labels: copied(module, Uint16Array, labels, height * width), objects };
      });
    } finally {
      if (!given) embedding.close();
    }
  }

  windowed(volume, options = {}) {
    const whole = { depth: 1, channels: 1, ...volume };
    const type = pixelType("volume", whole, ["depth", "height", "width"]);
    const { window = "", modality = "", hounsfield = true, padding } = options;
    if (padding && padding.length !== whole.depth) refuse(`padding: got ${padding.length} intervals, expected one for each of ${whole.depth} slices`);
    const { module } = this;
    return withMemory(module, (memory) => {
      const ends = padding?.flatMap((interval, k) => (interval ? numbersOf(`padding[${k}]`, interval, 2, "[lowest, highest] or null") : [NaN, NaN]));
      const intervals = ends ? memory.copy(Float64Array.from(ends)) : 0;
      const voxels = whole.depth * whole.height * whole.width;
      const out = memory.take(voxels), at = memory.take(3 * 8);
      check(module, module._medsam_wasm_window(memory.copy(whole.data), type, whole.channels, whole.depth, whole.height, whole.width, memory.text(window), memory.text(modality), hounsfield ? 1 : 0, intervals, out, at));
      const [darkest, brightest, unchanged] = memory.doubles(at, 3);
      return { data: unchanged === 1 ? whole.data : copied(module, Uint8Array, out, voxels), darkest, brightest, unchanged: unchanged === 1 };
    });
  }

  session(volume, options = {}) {
    return Session.begin(this, volume, options);
  }
}
