// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Boxes of voxels: x0, y0, z0, x1, y1, z1, ends inclusive; null is none.
export function overlap(one, other) {
  return Boolean(one && other) && [0, 1, 2].every((k) => one[k] <= other[k + 3] && other[k] <= one[k + 3]);
}

// Of a plane whose mask a propagation has just made: the box outside of which an object has nothing there and had nothing
// `before`, and the part of the mask in it; null where that is all of the plane.
export function grownBox(before, axis, index, mask, columns) {
  let [left, top, right, bottom] = [Infinity, Infinity, -1, -1];
  for (let k = 0; k < mask.length; k++) {
    if (!mask[k]) continue;
    const i = k % columns, j = Math.floor(k / columns);
    [left, top, right, bottom] = [Math.min(left, i), Math.min(top, j), Math.max(right, i), Math.max(bottom, j)];
  }
  const across = 2 - axis, [first, second] = [0, 1, 2].filter((k) => k !== across);
  if (before && before[across] <= index && index <= before[across + 3]) {
    left = Math.min(left, before[first]);
    top = Math.min(top, before[second]);
    right = Math.max(right, before[first + 3]);
    bottom = Math.max(bottom, before[second + 3]);
  }
  if (right < 0) return null;
  const low = [left, top], high = [right, bottom];
  low.splice(across, 0, index);
  high.splice(across, 0, index);
  const part = [];
  for (let j = top; j <= bottom; j++) for (let i = left; i <= right; i++) part.push(mask[j * columns + i]);
  return { voxels: [...low, ...high], part };
}
