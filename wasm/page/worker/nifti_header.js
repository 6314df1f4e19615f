// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// NIfTI-1 and NIfTI-2 headers (nifti1.h, nifti2.h): the fields that are read or written, and where they say the grid lies, by
// the rules of medsam_engine.io.nifti.header. A mask carries its image's header byte for byte, so that it lies where the
// image lies in viewers that follow the qform and in those that follow the sform. nifti-reader-js 0.8.0 is not used: it takes
// the qform where its code is above the sform's, and writes a header with some fields left out.
import { column, cross, determinant, fromColumns, norm, skew } from "./grid.js";

// Offset, kind and count.
const FIELDS = {
  348: {
    dim: [40, "Int16", 8], intent_p: [56, "Float32", 3], intent_code: [68, "Int16"], datatype: [70, "Int16"], bitpix: [72, "Int16"],
    pixdim: [76, "Float32", 8], vox_offset: [108, "Float32"], scl_slope: [112, "Float32"], scl_inter: [116, "Float32"],
    xyzt_units: [123, "Uint8"], cal_max: [124, "Float32"], cal_min: [128, "Float32"], descrip: [148, "Uint8", 80],
    aux_file: [228, "Uint8", 24], qform_code: [252, "Int16"], sform_code: [254, "Int16"], quatern: [256, "Float32", 3],
    qoffset: [268, "Float32", 3], srow: [280, "Float32", 12], intent_name: [328, "Uint8", 16], magic: [344, "Uint8", 4],
  },
  540: {
    magic: [4, "Uint8", 8], datatype: [12, "Int16"], bitpix: [14, "Int16"], dim: [16, "BigInt64", 8], intent_p: [80, "Float64", 3],
    pixdim: [104, "Float64", 8], vox_offset: [168, "BigInt64"], scl_slope: [176, "Float64"], scl_inter: [184, "Float64"],
    cal_max: [192, "Float64"], cal_min: [200, "Float64"], descrip: [240, "Uint8", 80], aux_file: [320, "Uint8", 24],
    qform_code: [344, "Int32"], sform_code: [348, "Int32"], quatern: [352, "Float64", 3], qoffset: [376, "Float64", 3],
    srow: [400, "Float64", 12], xyzt_units: [500, "Int32"], intent_code: [504, "Int32"], intent_name: [508, "Uint8", 16],
  },
};
const BYTES = { Uint8: 1, Int16: 2, Int32: 4, Float32: 4, Float64: 8, BigInt64: 8 };
const MM = { 0: 1, 1: 1000, 2: 1, 3: 0.001 }; // of the unit of length; 0 = not said
const ORTHOGONAL = 1e-3;
const LARGEST_SHEAR = Math.sin(Math.PI / 180); // more is no matter of rounding or registration

export class NiftiHeader {
  // `bytes`: at least the header, which is copied.
  constructor(bytes, size, little) {
    this.bytes = bytes.slice(0, size);
    this.little = little;
    this.view = new DataView(this.bytes.buffer);
    this.fields = FIELDS[size];
  }

  static parse(bytes, name) {
    for (const little of [true, false]) {
      const size = bytes.length >= 4 ? new DataView(bytes.buffer, bytes.byteOffset).getInt32(0, little) : 0;
      if (!FIELDS[size]) continue;
      if (bytes.length < size) break;
      const header = new NiftiHeader(bytes, size, little);
      const magic = String.fromCharCode(...header.all("magic").slice(0, 3)), wanted = size === 348 ? "n+1" : "n+2";
      if (magic === wanted) return header;
      if (magic === "n+1" || magic === "n+2") throw new Error(`image: got magic ${magic} in a header of ${size} bytes of ${name}, expected ${wanted}; the header is damaged`);
      throw new Error(`image: got a header without its data in ${name}, expected a single-file NIfTI; convert the .hdr/.img pair to .nii`);
    }
    throw new Error(`image: got ${name}, expected a NIfTI file; its header is damaged or of another kind`);
  }

  // An empty NIfTI-1 header.
  static empty() {
    const header = new NiftiHeader(new Uint8Array(348), 348, true);
    header.view.setInt32(0, 348, true);
    header.bytes[38] = "r".charCodeAt(0); // regular
    header.set("magic", [0x6e, 0x2b, 0x31, 0]);
    return header;
  }

  all(name) {
    const [offset, kind, count = 1] = this.fields[name];
    return Array.from({ length: count }, (_, k) => Number(this.view[`get${kind}`](offset + k * BYTES[kind], this.little)));
  }
  get(name) { return this.all(name)[0]; }
  set(name, values) {
    const [offset, kind, count = 1] = this.fields[name];
    const given = Array.isArray(values) ? values : [values];
    for (let k = 0; k < count; k++) {
      const value = given[k] ?? 0;
      this.view[`set${kind}`](offset + k * BYTES[kind], kind === "BigInt64" ? BigInt(value) : value, this.little);
    }
  }
}

// Spacing in the header's unit. An axis of one voxel may leave it out: then 1.
function pixdim(header) {
  const dim = header.all("dim");
  return header.all("pixdim").slice(1, 4).map((mm, k) => (mm === 0 && (k + 1 > dim[0] || dim[k + 1] === 1) ? 1 : mm));
}

const scale = (header) => MM[header.get("xyzt_units") & 7] ?? 1;

// In mm along x, y, z, of a file that says nothing of its place.
export function headerSpacing(header, notes) {
  const given = pixdim(header);
  if (given.some((mm) => mm < 0)) notes.push("negative pixdim taken as positive: the file does not say which way the axes run");
  return given.map((mm) => Math.abs(mm) * scale(header));
}

// nifti1.h METHOD 2: the rotation of (b, c, d), its third column times qfac.
function rotation([b, c, d], qfac) {
  const squares = b * b + c * c + d * d;
  if (squares > 1) [b, c, d] = [b, c, d].map((value) => value / Math.sqrt(squares));
  const a = Math.sqrt(Math.max(0, 1 - (b * b + c * c + d * d)));
  return [
    [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c) * qfac],
    [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b) * qfac],
    [2 * (b * d - a * c), 2 * (c * d + a * b), (a * a + d * d - b * b - c * c) * qfac],
  ];
}

const isRotation = (quatern) => quatern.reduce((sum, value) => sum + value * value, 0) < 1.001;

// Affines are (3, 4), to RAS in the header's unit.
function qform(header) {
  const spacing = pixdim(header), place = header.all("qoffset");
  const turned = rotation(header.all("quatern"), header.all("pixdim")[0] < 0 ? -1 : 1);
  return turned.map((row, k) => [row[0] * spacing[0], row[1] * spacing[1], row[2] * spacing[2], place[k]]);
}

function qformIsSound(header) {
  const spacing = pixdim(header);
  return [...spacing, ...header.all("quatern"), ...header.all("qoffset")].every(Number.isFinite) && spacing.every((mm) => mm > 0) && isRotation(header.all("quatern"));
}

function sform(header) {
  const srow = header.all("srow");
  const affine = [0, 1, 2].map((k) => srow.slice(4 * k, 4 * k + 4));
  const dim = header.all("dim"), has = (k) => column(affine, k).some((value) => value !== 0);
  if ((dim[0] < 3 || dim[3] === 1) && !has(2) && has(0) && has(1)) { // a slice that has no thickness
    const normal = cross(column(affine, 0), column(affine, 1)), length = norm(normal) || 1;
    affine.forEach((row, k) => { row[2] = normal[k] / length; });
  }
  return affine;
}

// Sine of the largest angle by which two axes are off a right one; 0 where an axis is missing.
function shear(affine) {
  const axes = [0, 1, 2].map((k) => column(affine, k)), lengths = axes.map(norm);
  if (!affine.flat().every(Number.isFinite) || Math.min(...lengths) <= 0) return 0;
  return skew(fromColumns(...axes.map((axis, k) => axis.map((value) => value / lengths[k]))));
}

// Index to LPS mm, (3, 4); null when the file does not say. The sform wins, but where there is a sound qform, not one that is
// all zeros or whose axes are off a right angle by up to a degree.
export function headerAffine(header, name, notes) {
  const hasQ = header.get("qform_code") > 0;
  let hasS = header.get("sform_code") > 0;
  if (!hasQ && !hasS) return null;
  const stated = sform(header), usable = hasQ && qformIsSound(header), off = shear(stated);
  if (hasS && usable && header.all("srow").every((value) => value === 0)) {
    notes.push("the sform is all zeros: the qform is used and both are kept");
    hasS = false;
  } else if (hasS && usable && ORTHOGONAL < off && off <= LARGEST_SHEAR) {
    notes.push(`the axes of the sform are ${((Math.asin(off) * 180) / Math.PI).toFixed(2)} degrees off a right angle: the qform is used and both are kept`);
    hasS = false;
  }
  if (!hasS && !pixdim(header).every((mm) => mm > 0)) throw new Error(`geometry: got pixdim ${header.all("pixdim").slice(1, 4)} beside a qform in ${name}, expected positive mm; correct the header`);
  if (!hasS && !isRotation(header.all("quatern"))) throw new Error(`geometry: got the quaternion ${header.all("quatern")} in ${name}, expected a length of at most 1; correct the header`);
  const affine = hasS ? stated : qform(header);
  if (hasQ && hasS && affine.flat().every(Number.isFinite)) {
    const other = qform(header), dim = header.all("dim");
    let gap = 0;
    for (let corner = 0; corner < 8; corner++) {
      const at = [...[0, 1, 2].map((k) => ((corner >> k) & 1) * Math.max(0, dim[k + 1] - 1)), 1];
      for (let k = 0; k < 3; k++) gap = Math.max(gap, Math.abs(at.reduce((sum, value, n) => sum + value * (affine[k][n] - other[k][n]), 0)));
    }
    if (gap > 0.1) notes.push(`qform and sform differ by up to ${gap.toFixed(1)} mm; the sform is used and both are kept`);
  }
  const mm = scale(header), lps = [-mm, -mm, mm];
  return affine.map((row, k) => row.map((value) => value * lps[k] + 0)); // + 0: no negative zeros
}

// The inverse of `rotation`: (b, c, d) and qfac of an orthonormal matrix, by the largest component for accuracy (nifti1_io).
export function quaternion(matrix) {
  const qfac = determinant(matrix) > 0 ? 1 : -1;
  const r = matrix.map((row) => [row[0], row[1], row[2] * qfac]);
  const squares = [
    1 + r[0][0] + r[1][1] + r[2][2], 1 + r[0][0] - r[1][1] - r[2][2], 1 - r[0][0] + r[1][1] - r[2][2], 1 - r[0][0] - r[1][1] + r[2][2],
  ];
  const largest = squares.indexOf(Math.max(...squares)), twice = Math.sqrt(squares[largest]); // 2 of that component
  const differences = [r[2][1] - r[1][2], r[0][2] - r[2][0], r[1][0] - r[0][1]]; // 4 ab, 4 ac, 4 ad
  const sums = [[0, r[1][0] + r[0][1], r[0][2] + r[2][0]], [r[1][0] + r[0][1], 0, r[2][1] + r[1][2]], [r[0][2] + r[2][0], r[2][1] + r[1][2], 0]]; // 4 bc, ...
  if (largest === 0) return [differences.map((value) => value / (2 * twice)), qfac];
  const vector = sums[largest - 1].map((value, k) => (k === largest - 1 ? twice / 2 : value / (2 * twice)));
  const real = differences[largest - 1] / (2 * twice);
  return [vector.map((value) => (real < 0 ? -value : value)), qfac];
}
