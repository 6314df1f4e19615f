// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The voxels and their window.
const TYPES = { uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array, float32: Float32Array };

export class Picture {
  constructor(description, buffer) {
    const shape = description.shape.length === 3 ? description.shape : [1, ...description.shape];
    this.shape = shape;
    this.sizes = [shape[2], shape[1], shape[0]]; // x, y, z
    this.flat = description.shape.length === 2;
    this.color = description.color;
    const spacing = description.spacing;
    this.spacing = this.flat ? [spacing[0], spacing[1], 1] : spacing;
    const Type = TYPES[description.type];
    if (!Type) throw new Error(`This browser page cannot show values of type ${description.type}.`);
    this.values = new Type(buffer);
    this.setWindow(description.window.low, description.window.high);
  }

  setWindow(low, high) {
    this.low = low;
    this.high = Math.max(high, low + 1e-6);
    const { values } = this;
    if (values instanceof Float32Array || this.color) { this.table = null; return; }
    const bottom = values instanceof Int16Array ? -32768 : 0;
    const table = new Uint8ClampedArray(values instanceof Uint8Array ? 256 : 65536);
    for (let k = 0; k < table.length; k++) table[k] = ((k + bottom - low) * 255) / (this.high - low);
    this.table = table;
    this.bottom = bottom;
  }

  // Wider to the right, brighter upwards.
  dragWindow(dx, dy) {
    const width = this.high - this.low, level = (this.high + this.low) / 2;
    const wider = Math.max(width * (1 + dx / 200), 1e-3), moved = level + (dy * width) / 400;
    this.setWindow(moved - wider / 2, moved + wider / 2);
  }

  planeSize(axis) {
    const [x, y, z] = this.sizes;
    return [[x, y], [x, z], [y, z]][axis];
  }

  // Fills RGBA of a plane.
  draw(axis, index, rgba) {
    const [x, y] = this.sizes;
    const [wide, high] = this.planeSize(axis);
    const out = new Uint32Array(rgba.buffer);
    const start = [index * x * y, index * x, index][axis];
    const across = axis === 2 ? x : 1;
    const down = axis === 0 ? x : x * y;
    const { values, table, bottom, low } = this;
    const factor = 255 / (this.high - low);
    let k = 0;
    for (let j = 0; j < high; j++) {
      let at = start + j * down;
      for (let i = 0; i < wide; i++, at += across) {
        if (this.color) out[k++] = 0xff000000 | (values[3 * at + 2] << 16) | (values[3 * at + 1] << 8) | values[3 * at];
        else {
          const gray = table ? table[values[at] - bottom] : Math.max(0, Math.min(255, Math.round((values[at] - low) * factor)));
          out[k++] = 0xff000000 | (gray << 16) | (gray << 8) | gray;
        }
      }
    }
  }
}
