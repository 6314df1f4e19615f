// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// How a plane of the array lies on the screen. Planes are never resampled: a pixel that is shown is a voxel, and one
// matrix draws it and finds it under the mouse.
const LPS = [["R", "L"], ["A", "P"], ["I", "S"]]; // towards lower and towards higher coordinates

// For each index axis (0 = x, 1 = y, 2 = z), the patient's axis nearest to it, each used once, and the sign.
export function nearestAxes(affine) {
  const pairs = [];
  for (let index = 0; index < 3; index++) {
    const length = Math.hypot(affine[0][index], affine[1][index], affine[2][index]);
    for (let world = 0; world < 3; world++) pairs.push([affine[world][index] / length, index, world]);
  }
  pairs.sort((one, other) => Math.abs(other[0]) - Math.abs(one[0]));
  const found = [null, null, null];
  const taken = new Set();
  for (const [cosine, index, world] of pairs) {
    if (found[index] || taken.has(world)) continue;
    found[index] = { world, sign: Math.sign(cosine) || 1 };
    taken.add(world);
  }
  return found;
}

// The plane across `axis` of the array: which index axis runs to the right and which down, whether either runs
// backwards, and the letters at the edges. Radiological: the patient's right and front are on the left, front and head at the top.
export function planeLayout(axis, affine) {
  const across = 2 - axis; // index axis
  const [first, second] = [0, 1, 2].filter((k) => k !== across);
  if (!affine) return { axis, right: first, down: second, flipRight: false, flipDown: false, labels: null, name: "image" };
  const near = nearestAxes(affine);
  const name = ["sagittal", "coronal", "axial"][near[across].world];
  // The patient's axis to the right of the screen, and down: x, y for axial; x, z for coronal; y, z for sagittal.
  const rightWorld = near[across].world === 0 ? 1 : 0;
  const right = near[first].world === rightWorld ? first : second;
  const down = right === first ? second : first;
  const downSign = near[down].world === 2 ? -1 : 1; // the head is at the top
  const flipRight = near[right].sign < 0;
  const flipDown = near[down].sign * downSign < 0;
  const [west, east] = LPS[near[right].world];
  const [low, high] = LPS[near[down].world];
  const labels = { left: west, right: east, top: downSign > 0 ? low : high, bottom: downSign > 0 ? high : low };
  return { axis, right, down, flipRight, flipDown, labels, name };
}

// Sizes and steps of a plane, and the matrix from its pixels (i along x or y, j along y or z; pixel 0 from 0 to 1) to
// the screen: [a, b, c, d, e, f] as canvases have it.
export function planeMatrix(layout, sizes, spacing, width, height, zoom, pan) {
  const { right, down, flipRight, flipDown } = layout;
  const [first] = [0, 1, 2].filter((k) => k !== 2 - layout.axis);
  const wide = sizes[right] * spacing[right];
  const high = sizes[down] * spacing[down];
  const scale = Math.min(width / wide, height / high) * zoom;
  const sx = spacing[right] * scale * (flipRight ? -1 : 1);
  const sy = spacing[down] * scale * (flipDown ? -1 : 1);
  const e = width / 2 + pan[0] - (sx * sizes[right]) / 2;
  const f = height / 2 + pan[1] - (sy * sizes[down]) / 2;
  return right === first ? [sx, 0, 0, sy, e, f] : [0, sy, sx, 0, e, f];
}

export function toScreen([a, b, c, d, e, f], i, j) { return [a * i + c * j + e, b * i + d * j + f]; }

export function fromScreen([a, b, c, d, e, f], x, y) {
  const det = a * d - b * c;
  return [(d * (x - e) - c * (y - f)) / det, (a * (y - f) - b * (x - e)) / det];
}
