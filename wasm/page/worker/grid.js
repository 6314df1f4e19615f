// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The grid on which voxels lie: spacing in mm along x, y, z, the origin and the directions of the axes in LPS, as
// medsam_engine.io.medical_image has them and with its limits. Matrices are lists of rows.
const ORTHOGONAL = 1e-3;
const SPACING = [1e-7, 1e6];
const FARTHEST = 1e6;

export const IDENTITY = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
export const column = (matrix, k) => [matrix[0][k], matrix[1][k], matrix[2][k]];
export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
export const norm = (a) => Math.hypot(...a);
export const fromColumns = (x, y, z) => [0, 1, 2].map((k) => [x[k], y[k], z[k]]);
export const determinant = (m) => dot(column(m, 0), cross(column(m, 1), column(m, 2)));

// Of 4 GiB, a session has one byte of each voxel, a mask that is read or painted another one, which may leave a hole that is
// too small for anything else, and the labels two: of more voxels, a mask could be drawn, but not be saved.
const MOST_VOXELS = 800e6;

export function checkVoxels(sizes, name) {
  const count = sizes.reduce((product, size) => product * size, 1);
  if (count > MOST_VOXELS) throw new Error(`image: got ${sizes.join(" x ")} voxels in ${name}, expected at most ${MOST_VOXELS}, for which a page has memory; crop it, or open it in medsam-engine serve`);
}

// How far the axes are off right angles and unit lengths: the largest entry of M^T M - 1.
export function skew(matrix) {
  let worst = 0;
  for (let i = 0; i < 3; i++) for (let k = 0; k < 3; k++) worst = Math.max(worst, Math.abs(dot(column(matrix, i), column(matrix, k)) - (i === k)));
  return worst;
}

// Refuses what is no grid; returns it with its affine (4, 4), from index (x, y, z, 1) to mm.
export function checkedGrid({ spacing, origin, direction }, name) {
  const refuse = (got, expected) => { throw new Error(`geometry: got ${got} in ${name}, expected ${expected}`); };
  if (!spacing.every((mm) => Number.isFinite(mm) && mm > 0)) refuse(`spacing ${spacing}`, "positive mm; correct the file's header");
  if (Math.min(...spacing) < SPACING[0] || Math.max(...spacing) > SPACING[1]) refuse(`spacing ${spacing}`, `${SPACING[0]} to ${SPACING[1]} mm; correct the file's header`);
  if (!origin.every((mm) => Math.abs(mm) <= FARTHEST)) refuse(`origin ${origin}`, `at most ${FARTHEST} mm; correct the file's header`);
  if (!direction.flat().every(Number.isFinite) || Math.abs(determinant(direction)) < 1e-6) refuse("a singular orientation", "three independent axes; correct the file's header");
  const worst = skew(direction);
  if (worst > ORTHOGONAL) {
    const degrees = (Math.asin(Math.min(1, worst)) * 180) / Math.PI;
    refuse(`axes ${degrees.toFixed(2)} degrees off a right angle`, "a rectangular grid; resample the image first (shear, gantry tilt)");
  }
  const affine = direction.map((row, k) => [row[0] * spacing[0], row[1] * spacing[1], row[2] * spacing[2], origin[k]]);
  return { spacing, origin, direction, affine: [...affine, [0, 0, 0, 1]] };
}
