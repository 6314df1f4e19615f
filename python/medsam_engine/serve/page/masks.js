// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Masks by object, slice by slice: only slices that a box from the server has reached take memory.
export class MaskStore {
  constructor([depth, height, width]) { this.size = { depth, height, width }; this.objects = new Map(); }

  keep(keys) { for (const key of [...this.objects.keys()]) if (!keys.includes(key)) this.objects.delete(key); }

  // What the server sent: a box, and the lengths of the runs in it, of outside first.
  take({ object, box: [x0, y0, z0, x1, y1, z1], runs }) {
    const { height, width } = this.size;
    if (!this.objects.has(object)) this.objects.set(object, new Map());
    const slices = this.objects.get(object);
    let run = 0, left = runs[0] ?? 0;
    for (let z = z0; z <= z1; z++) {
      let slice = slices.get(z);
      if (!slice) slices.set(z, (slice = new Uint8Array(height * width)));
      for (let y = y0; y <= y1; y++) {
        for (let x = x0; x <= x1; x++) {
          while (left === 0) left = runs[++run];
          slice[y * width + x] = run & 1;
          left--;
        }
      }
    }
  }

  at(object, x, y, z) { return this.objects.get(object)?.get(z)?.[y * this.size.width + x] ?? 0; }

  // Whether the object has a pixel in a plane.
  any(object, axis, index) { return this.plane(object, axis, index)?.includes(1) ?? false; }

  // The object's pixels in a plane, as the plane has them, or null where there is none.
  plane(object, axis, index) {
    const slices = this.objects.get(object);
    if (!slices) return null;
    const { depth, height, width } = this.size;
    if (axis === 0) return slices.get(index) ?? null;
    const row = axis === 1 ? width : height;
    const pixels = new Uint8Array(row * depth);
    for (const [z, slice] of slices) {
      if (axis === 1) pixels.set(slice.subarray(index * width, (index + 1) * width), z * row);
      else for (let y = 0; y < height; y++) pixels[z * row + y] = slice[y * width + index];
    }
    return pixels;
  }
}

// The bytes that runs describe.
export function bytesOf(runs, size) {
  const bytes = new Uint8Array(size);
  runs.reduce((at, run, k) => { if (k & 1) bytes.fill(1, at, at + run); return at + run; }, 0);
  return bytes;
}

// The runs of a mask of bytes, for the server: of zeros first.
export function runsOf(bytes) {
  const runs = [];
  let value = 0, run = 0;
  for (const byte of bytes) {
    if (byte === value) run++;
    else { runs.push(run); value = byte; run = 1; }
  }
  runs.push(run);
  return runs;
}
