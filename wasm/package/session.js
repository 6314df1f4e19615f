// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
import { boxNumbers, check, copied, destroy, expectSound, listed, numbersOf, pixelType, refuse, viewed, withMemory } from "./module.js";

const forgotten = new FinalizationRegistry(({ module, handle }) => destroy(module, "_medsam_session_destroy", handle));

function planeOf(plane) {
  const { axis = 0, index = 0 } = plane ?? {};
  if (![0, 1, 2].includes(axis) || !Number.isInteger(index)) refuse(`plane: got axis ${axis} and index ${index}, expected axis 0, 1 or 2 and a whole number`);
  return [axis, index];
}

const pointOf = (what, point) => numbersOf(what, point, 2, "[x, y]");

function pathOf(what, points) {
  return Float64Array.from(listed(what, points, "points [x, y]").flatMap((point, k) => pointOf(`${what}: point ${k}`, point)));
}

export class Session {
  #module;
  #handle;
  #shape;
  constructor(module, handle, shape) {
    this.#module = module;
    this.#handle = handle;
    this.#shape = shape;
    forgotten.register(this, { module, handle }, this);
  }

  /** @internal */
  static begin(engine, volume, options) {
    const { module } = engine;
    const whole = { depth: 1, ...volume };
    const type = pixelType("volume", whole, ["depth", "height", "width"]);
    const [x, y, z] = numbersOf("spacing", options.spacing ?? [1, 1, 1], 3, "[x, y, z] in mm");
    return withMemory(module, (memory) => {
      const at = memory.take(4);
      check(module, module._medsam_wasm_session_create(engine.handle, memory.copy(whole.data), type, whole.channels ?? 1, whole.depth, whole.height, whole.width, x, y, z, memory.text(options.modality ?? ""), at));
      return new Session(module, memory.pointer(at), [whole.depth, whole.height, whole.width]);
    });
  }

  get shape() {
    return [...this.#shape];
  }

  #open() {
    if (this.#handle === 0) refuse("Session: it was closed; begin another one");
    expectSound(this.#module);
    return this.#handle;
  }

  // What changes the session: the box of the changed voxels.
  #change(call) {
    return withMemory(this.#module, (memory) => {
      const at = memory.take(6 * 8);
      check(this.#module, call(this.#module, this.#open(), memory, at));
      return memory.doubles(at, 6);
    });
  }

  addBox(object, box, plane) {
    const numbers = boxNumbers("box", box), [axis, index] = planeOf(plane);
    return this.#change((m, handle, memory, at) => m._medsam_wasm_session_add_box(handle, memory.text(object), memory.copy(numbers), axis, index, at));
  }
  addClick(object, point, { positive = true, plane } = {}) {
    const [x, y] = pointOf("click", point), [axis, index] = planeOf(plane);
    return this.#change((m, handle, memory, at) => m._medsam_wasm_session_add_click(handle, memory.text(object), x, y, positive ? 1 : 0, axis, index, at));
  }
  addScribble(object, points, { positive = true, plane } = {}) {
    const numbers = pathOf("scribble", points), [axis, index] = planeOf(plane);
    return this.#change((m, handle, memory, at) => m._medsam_wasm_session_add_path(handle, memory.text(object), positive ? 0 : 1, memory.copy(numbers), numbers.length / 2, axis, index, at));
  }
  addLasso(object, points, { plane } = {}) {
    const numbers = pathOf("lasso", points), [axis, index] = planeOf(plane);
    return this.#change((m, handle, memory, at) => m._medsam_wasm_session_add_path(handle, memory.text(object), 2, memory.copy(numbers), numbers.length / 2, axis, index, at));
  }
  addMask(object, mask) {
    const count = this.#shape.reduce((a, b) => a * b, 1);
    if (!(mask instanceof Uint8Array) || mask.length !== count) refuse(`mask: got ${mask?.constructor?.name ?? typeof mask} of ${mask?.length} voxels, expected a Uint8Array of ${count}`);
    return this.#change((m, handle, memory, at) => m._medsam_wasm_session_add_mask(handle, memory.text(object), memory.copy(mask), ...this.#shape, at));
  }
  propagate(object, options = {}) {
    const { axis = 0, direction = "both", first = -1, last = -1, distance = -1, seconds = -1 } = options;
    const way = ["both", "up", "down"].indexOf(direction);
    if (way < 0) refuse(`direction: got ${direction}, expected both, up or down`);
    const module = this.#module;
    // What a callback throws ends the call, the session unchanged, and is thrown from here.
    let thrown;
    const guarded = (call) => (...given) => {
      try {
        return Number(call(...given));
      } catch (error) {
        thrown = { error };
        return -1;
      }
    };
    module.propagation = {
      progress: guarded((done, total) => {
        options.progress?.(done, total);
        return true;
      }),
      cancelled: guarded(() => Boolean(options.cancelled?.())),
      reached: guarded((index, mask, height, width, stride) => {
        if (!options.reached) return true;
        const rows = new Uint8Array(height * width);
        for (let y = 0; y < height; y++) rows.set(viewed(module, Uint8Array, mask + y * stride, width), y * width);
        return options.reached(index, rows) !== false;
      }),
    };
    try {
      return this.#change((m, handle, memory, at) => m._medsam_wasm_session_propagate(handle, memory.text(object), axis, way, memory.copy(Float64Array.of(first, last, distance, seconds)), at));
    } catch (error) {
      throw thrown ? thrown.error : error;
    } finally {
      module.propagation = undefined;
    }
  }
  lock(object, locked = true) {
    withMemory(this.#module, (memory) => check(this.#module, this.#module._medsam_wasm_session_lock(this.#open(), memory.text(object), locked ? 1 : 0)));
  }
  previewClick(point, plane) {
    const [x, y] = pointOf("click", point), [axis, index] = planeOf(plane), [depth, height, width] = this.#shape;
    const [rows, columns] = [[height, width], [depth, width], [depth, height]][axis];
    const module = this.#module;
    return withMemory(module, (memory) => {
      const labels = memory.take(rows * columns), answered = memory.take(4);
      check(module, module._medsam_wasm_session_preview_click(this.#open(), x, y, axis, index, labels, rows, columns, answered));
      return memory.pointer(answered) === 1 ? copied(module, Uint8Array, labels, rows * columns) : null;
    });
  }
  undo() {
    return this.#change((m, handle, memory, at) => m._medsam_wasm_session_step(handle, 0, at));
  }
  redo() {
    return this.#change((m, handle, memory, at) => m._medsam_wasm_session_step(handle, 1, at));
  }
  reset() {
    return this.#change((m, handle, memory, at) => m._medsam_wasm_session_step(handle, 2, at));
  }
  remove(object) {
    return this.#change((m, handle, memory, at) => m._medsam_wasm_session_remove(handle, memory.text(object), at));
  }

  #read(Type, count, call) {
    const handle = this.#open();
    return withMemory(this.#module, (memory) => {
      const at = memory.take(count * Type.BYTES_PER_ELEMENT);
      check(this.#module, call(this.#module, handle, memory, at));
      return copied(this.#module, Type, at, count);
    });
  }
  #voxels() {
    return this.#shape.reduce((a, b) => a * b, 1);
  }
  mask(object, box) {
    if (box === undefined) return this.#read(Uint8Array, this.#voxels(), (m, handle, memory, at) => m._medsam_wasm_session_mask(handle, memory.text(object), at, ...this.#shape));
    const [depth, height, width] = this.#shape, sizes = [width, height, depth];
    const inside = Array.isArray(box) && box.length === 6 && sizes.every((size, k) => Number.isInteger(box[k]) && Number.isInteger(box[k + 3]) && 0 <= box[k] && box[k] <= box[k + 3] && box[k + 3] < size);
    if (!inside) refuse(`box: got ${JSON.stringify(box)}, expected x0, y0, z0, x1, y1, z1 inside ${sizes.join(" x ")} voxels`);
    const count = sizes.reduce((product, _, k) => product * (box[k + 3] - box[k] + 1), 1);
    return this.#read(Uint8Array, count, (m, handle, memory, at) => m._medsam_wasm_session_mask_box(handle, memory.text(object), memory.copy(Float64Array.from(box)), at));
  }
  labels() {
    return this.#read(Uint16Array, this.#voxels(), (m, handle, memory, at) => m._medsam_wasm_session_labels(handle, at, ...this.#shape));
  }
  #standing() {
    const text = this.#module._medsam_wasm_session_standing(this.#open());
    if (text === 0) refuse(this.#module.UTF8ToString(this.#module._medsam_last_error()));
    return JSON.parse(this.#module.UTF8ToString(text));
  }
  objects() {
    return this.#standing().objects;
  }
  steps() {
    return this.#standing().steps;
  }
  encoding() {
    return this.#standing().encoding;
  }

  close() {
    if (this.#handle === 0) return;
    forgotten.unregister(this);
    destroy(this.#module, "_medsam_session_destroy", this.#handle);
    this.#handle = 0;
  }
}
