// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// NIfTI files: one volume with its grid, and label maps on the grid of an image. Voxels stay in the file's order.
import { IDENTITY, checkVoxels, checkedGrid, column, fromColumns, norm } from "./grid.js";
import { NiftiHeader, headerAffine, headerSpacing, quaternion } from "./nifti_header.js";
import { engineValues, rescaledValues } from "./values.js";

const RGB24 = 128;
const TYPES = {
  2: Uint8Array, 4: Int16Array, 8: Int32Array, 16: Float32Array, 64: Float64Array, [RGB24]: Uint8Array, 256: Int8Array, 512: Uint16Array,
  768: Uint32Array, 1024: BigInt64Array, 1280: BigUint64Array,
};
const LABEL_CODES = { 1: 2, 2: 512 };
const AFTER_HEADER = 4; // the extension flag, zeros: none follow

async function through(bytes, stream) {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());
}

async function unpacked(bytes, name) {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return await through(bytes, new DecompressionStream("gzip"));
  } catch (error) {
    throw new Error(`image: got ${name}, expected a whole file; its compressed data is damaged, or of several parts (${error.message}); unpack it first`);
  }
}

// Bytes of a file as values of a type, in the machine's byte order (little, as WebAssembly's).
function valuesOf(bytes, first, count, Type, little) {
  const size = Type.BYTES_PER_ELEMENT, part = bytes.slice(first, first + count * size);
  if (!little && size > 1) for (let at = 0; at < part.length; at += size) part.subarray(at, at + size).reverse();
  return new Type(part.buffer);
}

export async function readNifti(packed, name) {
  const bytes = await unpacked(packed, name);
  const header = NiftiHeader.parse(bytes, name);
  const dim = header.all("dim"), axes = dim[0], sizes = dim.slice(1, axes + 1);
  if (!(axes >= 1 && axes <= 7) || sizes.some((size) => size < 1)) throw new Error(`image: got dimensions ${dim} in ${name}, expected 2 to 4 axes; the header is damaged`);
  if (sizes.slice(4).some((size) => size > 1)) throw new Error(`image: got ${axes} axes ${sizes} in ${name}, expected at most 4; split the file`);
  const [width, height, depth, volumes] = [0, 1, 2, 3].map((k) => sizes[k] ?? 1);
  if (volumes > 1) throw new Error(`image: got ${volumes} volumes in ${name}, expected one; split the file, or name the volume to medsam-engine serve`);
  const code = header.get("datatype"), Type = TYPES[code], color = code === RGB24;
  if (!Type) throw new Error(`image: got NIfTI data type ${code} in ${name}, expected a real or RGB24 type; convert it`);
  const bits = 8 * Type.BYTES_PER_ELEMENT * (color ? 3 : 1), stated = header.get("bitpix");
  if (stated > bits) throw new Error(`image: got bitpix ${stated} for data type ${code} of ${bits} bits in ${name}, expected one size; correct the header`);
  const slope = header.get("scl_slope"), inter = header.get("scl_inter"), scales = Number.isFinite(slope) && slope !== 0;
  if (scales && !Number.isFinite(inter)) throw new Error(`image: got scl_slope ${slope} with scl_inter ${inter} in ${name}, expected a number; correct the header`);
  const first = Math.trunc(header.get("vox_offset"));
  if (!(first >= header.bytes.length)) throw new Error(`image: got a vox_offset of ${header.get("vox_offset")} in ${name}, expected ${header.bytes.length} or later; the header is damaged`);
  checkVoxels([width, height, depth], name);
  const count = width * height * depth * (color ? 3 : 1), end = first + count * Type.BYTES_PER_ELEMENT;
  if (bytes.length < end) throw new Error(`image: got ${bytes.length} bytes in ${name}, expected ${end} for ${width}x${height}x${depth} voxels; the file is cut off`);
  const stored = valuesOf(bytes, first, count, Type, header.little);
  const values = color || !scales ? engineValues(stored, name) : rescaledValues(stored, slope, inter, name);
  return { values, shape: [depth, height, width], color, modality: "", hounsfield: true, spaced: true, header, ...placed(header, name) };
}

function placed(header, name) {
  const notes = [];
  const affine = headerAffine(header, name, notes);
  if (!affine) {
    notes.push("the file does not say where the grid lies (qform and sform codes are 0)");
    return { notes, positioned: false, ...checkedGrid({ spacing: headerSpacing(header, notes), origin: [0, 0, 0], direction: IDENTITY }, name) };
  }
  if (!affine.flat().every(Number.isFinite)) throw new Error(`geometry: got an affine with NaN in ${name}, expected numbers; correct the file's header`);
  const axes = [0, 1, 2].map((k) => column(affine, k)), spacing = axes.map(norm);
  if (Math.min(...spacing) <= 0) throw new Error(`geometry: got a singular affine in ${name}, expected three independent axes; correct the file's header`);
  const direction = fromColumns(...axes.map((axis, k) => axis.map((value) => value / spacing[k])));
  return { notes, positioned: true, ...checkedGrid({ spacing, origin: column(affine, 3), direction }, name) };
}

function headerFor(image) {
  if (image.header) return new NiftiHeader(image.header.bytes, image.header.bytes.length, image.header.little);
  const header = NiftiHeader.empty();
  const ras = image.affine.slice(0, 3).map((row, k) => (k < 2 ? row.map((value) => 0 - value) : row));
  const [quatern, qfac] = quaternion(ras.map((row) => row.slice(0, 3).map((value, k) => value / image.spacing[k])));
  header.set("xyzt_units", image.spaced ? 2 : 0); // mm, or unknown
  header.set("pixdim", [qfac, ...image.spacing, 1, 1, 1, 1]);
  const placed = image.positioned && image.spaced ? 1 : 0;
  header.set("qform_code", placed);
  header.set("sform_code", placed);
  header.set("quatern", quatern);
  header.set("qoffset", ras.map((row) => row[3]));
  header.set("srow", ras.flat());
  return header;
}

// A .nii.gz of labels (D, H, W) or (H, W), Uint8Array or Uint16Array, on the grid of `image`.
export async function niftiFile(labels, image) {
  const header = headerFor(image), { little } = header;
  const [depth, height, width] = image.shape.length === 3 ? image.shape : [1, ...image.shape];
  const size = labels.BYTES_PER_ELEMENT;
  header.set("dim", [3, width, height, depth, 1, 1, 1, 1]);
  header.set("datatype", LABEL_CODES[size]);
  header.set("bitpix", 8 * size);
  header.set("vox_offset", header.bytes.length + AFTER_HEADER);
  header.set("scl_slope", 1);
  for (const name of ["scl_inter", "cal_max", "cal_min", "intent_code", "intent_p", "intent_name", "aux_file"]) header.set(name, 0);
  header.set("descrip", Array.from("medsam-engine label map", (letter) => letter.charCodeAt(0)));
  const voxels = new Uint8Array(labels.slice().buffer);
  if (!little && size > 1) for (let at = 0; at < voxels.length; at += size) voxels.subarray(at, at + size).reverse();
  const whole = new Uint8Array(header.bytes.length + AFTER_HEADER + voxels.length);
  whole.set(header.bytes);
  whole.set(voxels, header.bytes.length + AFTER_HEADER);
  return through(whole, new CompressionStream("gzip"));
}
