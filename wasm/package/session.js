// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
import { boxNumbers, check, copied, pixelType, refuse, withMemory } from "./module.js";

const forgotten = new FinalizationRegistry(({ module, handle }) => module._medsam_session_destroy(handle));

function planeOf(plane) {
  const { axis = 0, index = 0 } = plane ?? {};
  if (![0, 1, 2].includes(axis) || !Number.isInteger(index)) refuse(`plane: got axis ${axis} and index ${index}, expected axis 0, 1 or 2 and a whole number`);
  return [axis, index];
}

function pathOf(points) {
  return Float64Array.from(Array.from(points).flatMap(([x, y]) => [x, y]));
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
    const [x, y, z] = options.spacing ?? [1, 1, 1];
    return withMemory(module, (memory) => {
      const at = memory.take(4);
      check(module, module._medsam_wasm_session_create(engine.handle, memory.copy(whole.data), type, whole.channels ?? 1, whole.depth, whole.height, whole.width, x, y, z, memory.text(options.modality ?? ""), at));
      return new Session(module, memory.pointer(at), [whole.depth, whole.height, whole.width]);
    });
  }

  get shape() {
    return [...this.#shape];
  }

  // What changes the session: the box of the changed voxels.
  #change(call) {
    if (this.#handle === 0) refuse("Session: it was closed; begin another one");
    return withMemory(this.#module, (memory) => {
      const at = memory.take(6 * 8);
      check(this.#module, call(this.#module, this.#handle, memory, at));
      return memory.doubles(at, 6);
    });
  }

  addBox(object, box, plane) {
    const numbers = boxNumbers("box", box), [axis, index] = planeOf(plane);
    return this.#change((m, handle, memory, at) => m._medsam_wasm_session_add_box(handle, memory.text(object), memory.copy(numbers), axis, index, at));
  }
  addClick(object, [x, y], { positive = true, plane } = {}) {
    const [axis, index] = planeOf(plane);
    return this.#change((m, handle, memory, at) => m._medsam_wasm_session_add_click(handle, memory.text(object), x, y, positive ? 1 : 0, axis, index, at));
  }
  addScribble(object, points, { positive = true, plane } = {}) {
    const numbers = pathOf(points), [axis, index] = planeOf(plane);
    return this.#change((m, handle, memory, at) => m._medsam_wasm_session_add_path(handle, memory.text(object), positive ? 0 : 1, memory.copy(numbers), numbers.length / 2, axis, index, at));
  }
  addLasso(object, points, { plane } = {}) {
    const numbers = pathOf(points), [axis, index] = planeOf(plane);
    return this.#change((m, handle, memory, at) => m._medsam_wasm_session_add_path(handle, memory.text(object), 2, memory.copy(numbers), numbers.length / 2, axis, index, at));
  }
  propagate(object, { axis = 0 } = {}) {
    return this.#change((m, handle, memory, at) => m._medsam_wasm_session_propagate(handle, memory.text(object), axis, at));
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

  #read(Type, call) {
    if (this.#handle === 0) refuse("Session: it was closed; begin another one");
    const count = this.#shape.reduce((a, b) => a * b, 1);
    return withMemory(this.#module, (memory) => {
      const at = memory.take(count * Type.BYTES_PER_ELEMENT);
      check(this.#module, call(this.#module, this.#handle, memory, at));
      return copied(this.#module, Type, at, count);
    });
  }
  mask(object) {
    return this.#read(Uint8Array, (m, handle, memory, at) => m._medsam_wasm_session_mask(handle, memory.text(object), at, ...this.#shape));
  }
  labels() {
    return this.#read(Uint16Array, (m, handle, memory, at) => m._medsam_wasm_session_labels(handle, at, ...this.#shape));
  }
  objects() {
    if (this.#handle === 0) refuse("Session: it was closed; begin another one");
    const text = this.#module._medsam_wasm_session_objects(this.#handle);
    if (text === 0) refuse(this.#module.UTF8ToString(this.#module._medsam_last_error()));
    return JSON.parse(this.#module.UTF8ToString(text));
  }

  close() {
    if (this.#handle === 0) return;
    forgotten.unregister(this);
    this.#module._medsam_session_destroy(this.#handle);
    this.#handle = 0;
  }
}
