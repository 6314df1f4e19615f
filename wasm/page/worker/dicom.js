// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// DICOM: one file as an image, or the files of one series as a volume, by the rules of medsam_engine.io.dicom as far as they
// are here: single frames, not compressed. What is not here is refused, and the sentence names the file.
import { readSlice } from "./dicom_slice.js";
import { stackPlanes } from "./dicom_stack.js";
import { IDENTITY, checkVoxels, checkedGrid } from "./grid.js";
import { engineValues } from "./values.js";

const PREAMBLE = 132;
const BESIDE = ["dicomdir", "thumbs.db", "desktop.ini"]; // of a medium, and of Windows
const NAMED_DICOM = /\.(dcm|dicom|ima)$/i;

export function isDicom(bytes) {
  return bytes.length >= PREAMBLE && String.fromCharCode(...bytes.subarray(128, 132)) === "DICM";
}

// Files in the order in which they were chosen: [{ name, bytes }].
export function readDicom(files, name) {
  const notes = [];
  const slices = files.length === 1 ? [readSlice(files[0])] : oneSeries(files, notes, name);
  const image = files.length === 1 ? single(slices[0], notes) : series(slices, notes, name);
  const padding = image.slices.map((slice) => slice.padding);
  const hounsfield = isHounsfield(image.slices, notes);
  const { values, color, modality, spaced } = image;
  return { values, color, modality, spaced, hounsfield, padding: padding.some(Boolean) ? padding : undefined, notes, shape: image.shape, positioned: image.positioned, ...checkedGrid(image.grid, name) };
}

function single(slice, notes) {
  if (slice.other) throw new Error(`image: got ${slice.other} in ${slice.name}, expected an image; open the image series`);
  notes.push(...slice.notes);
  const { plane, modality, color, spaced } = slice;
  const positioned = Boolean(plane.position && plane.directions);
  const grid = positioned ? stackPlanes([slice], slice.name) : { spacing: [plane.columnSpacing, plane.rowSpacing, 1], origin: [0, 0, 0], direction: IDENTITY };
  return { slices: [slice], grid, positioned, modality, color, spaced, values: slice.values, shape: [slice.rows, slice.columns] };
}

// A file that is no image is left out only where it cannot be one of the slices: a volume that lacks one is a wrong volume.
function oneSeries(files, notes, where) {
  const slices = [], left = new Map();
  const leave = (kind) => left.set(kind, (left.get(kind) ?? 0) + 1);
  for (const file of files) {
    if (BESIDE.includes(file.name.toLowerCase())) continue;
    if (!isDicom(file.bytes)) {
      if (file.name.startsWith(".")) continue;
      const start = file.bytes.subarray(0, PREAMBLE), text = start.length > 0 && start.every((byte) => byte >= 32 || [9, 10, 12, 13].includes(byte));
      if (!text || NAMED_DICOM.test(file.name)) throw new Error(`series: got ${file.name} of ${where}, which is no whole DICOM file, expected every slice; restore it, or take it out of the folder`);
      leave("no DICOM file");
      continue;
    }
    const slice = readSlice(file);
    if (slice.other) leave(slice.other);
    else slices.push(slice);
  }
  for (const [kind, count] of left) notes.push(`${count} files left out: ${kind}`);
  if (!slices.length) throw new Error(`image: got no DICOM image in ${where}, expected the files of a series; choose their folder`);
  const found = new Set(slices.map(({ series }) => series));
  if (found.size > 1) throw new Error(`series: got ${found.size} in ${where}, expected one; choose a folder with the files of one series`);
  return withoutCopies(slices, notes);
}

function withoutCopies(slices, notes) {
  const kept = [];
  for (const slice of slices) {
    const original = kept.find((other) => slice.instance && other.instance === slice.instance && other.bytes.length === slice.bytes.length && other.bytes.every((byte, k) => byte === slice.bytes[k]));
    if (original) notes.push(`left out ${slice.name}: the same image as ${original.name}`);
    else kept.push(slice);
  }
  return kept;
}

function series(slices, notes, where) {
  const [first] = slices;
  for (const slice of slices) {
    if (slice.rows !== first.rows || slice.columns !== first.columns) throw new Error(`series: got slices of ${first.rows}x${first.columns} and ${slice.rows}x${slice.columns} pixels in ${where} (${first.name}, ${slice.name}), expected one size; take localizers out of the folder`);
    for (const [what, field] of [["frames of reference", "frameOfReference"], ["photometric interpretations", "photometric"]]) {
      if (slice[field] !== first[field]) throw new Error(`series: got two ${what} in ${where} (${first.name}: ${first[field] || "none"}, ${slice.name}: ${slice[field] || "none"}), expected one; separate them into folders`);
    }
    for (const [what, field] of [["echoes", "echo"], ["time points", "phase"]]) { // what only some state is no difference
      const other = slices.find((one) => one[field] && slice[field] && one[field] !== slice[field]);
      if (other) throw new Error(`series: got two ${what} in ${where} (${other.name}: ${other[field]}, ${slice.name}: ${slice[field]}), expected one; separate them into folders`);
    }
    if (slice.units !== first.units) throw new Error(`series: got slices in different units in ${where} (${first.name}: ${first.units}, ${slice.name}: ${slice.units}), expected one RescaleIntercept and RescaleType; restore the tags of all slices`);
  }
  checkVoxels([first.columns, first.rows, slices.length], where);
  const grid = stackPlanes(slices, where);
  const ordered = grid.order.map((k) => slices[k]);
  const counts = new Map();
  for (const note of ordered.flatMap((slice) => slice.notes)) counts.set(note, (counts.get(note) ?? 0) + 1);
  for (const [note, count] of counts) notes.push(count > 1 ? `${note} (${count} slices)` : note);
  const { modality, color, rows, columns, spaced } = first;
  return { slices: ordered, grid, positioned: true, modality, color, spaced, values: stacked(ordered, where), shape: [ordered.length, rows, columns] };
}

// Slices may come out as int16 and uint16 by their values; together they are narrowed again.
function stacked(slices, where) {
  const types = new Set(slices.map(({ values }) => values.constructor));
  const Type = types.size === 1 ? [...types][0] : types.has(Float32Array) ? Float32Array : Int32Array;
  const each = slices[0].values.length, whole = new Type(slices.length * each);
  slices.forEach(({ values }, k) => whole.set(values, k * each));
  return engineValues(whole, where);
}

// Of a CT: whether its values may be Hounsfield units; otherwise a note says why they cannot.
function isHounsfield(slices, notes) {
  if (slices[0].modality.toUpperCase() !== "CT") return true;
  const other = slices.find(({ units }) => units !== "HU" && units !== "unstated");
  if (other) {
    notes.push(`CT in units of ${other.units}, not in Hounsfield units`);
    return false;
  }
  if (slices.some(({ units, belowZero }) => units === "HU" || belowZero)) return true;
  notes.push("CT without RescaleIntercept and without values below 0: these are not Hounsfield units");
  return false;
}
