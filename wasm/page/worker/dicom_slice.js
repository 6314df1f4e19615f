// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// One DICOM file of one frame: its place (PS3.3 C.7.6.2), and its pixels as numbers of a unit (C.11.1), bright always large.
import { Header } from "./dicom_header.js";
import { rescaledValues } from "./values.js";

const NOT_IMAGES = ["SEG", "RTDOSE", "RTSTRUCT", "RTPLAN", "SR", "PR", "KO", "REG"];
const LITTLE_ENDIAN = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"];
const SERVE = "medsam-engine serve reads it";

// `other` in place of all else: what a file is that is no image.
export function readSlice({ name, bytes }) {
  const header = new Header(bytes, name), modality = header.text("Modality");
  if (NOT_IMAGES.includes(modality)) return { other: modality, name };
  check(header);
  const notes = [], pixels = pixelsOf(header, bytes, notes), { plane, spaced } = planeOf(header, notes);
  return {
    name, bytes, modality, notes, plane, spaced, ...pixels,
    rows: header.whole("Rows"), columns: header.whole("Columns"),
    series: header.text("SeriesInstanceUID") || "without UID", instance: header.text("SOPInstanceUID"),
    photometric: header.text("PhotometricInterpretation"), frameOfReference: header.text("FrameOfReferenceUID"),
    echo: header.text("EchoNumbers"), phase: header.text("TemporalPositionIdentifier"),
  };
}

function check(header) {
  const { name } = header;
  const refuse = (got, expected) => { throw new Error(`image: got ${got} in ${name}, expected ${expected}`); };
  const syntax = header.text("TransferSyntaxUID");
  if (!LITTLE_ENDIAN.includes(syntax)) refuse(`compressed or big-endian pixels (transfer syntax ${syntax || "unknown"})`, `uncompressed little-endian ones on this page; ${SERVE}`);
  if (!header.has("PixelData")) refuse("no pixels", "an image; the file may be cut off");
  header.checkNumbers();
  if ((header.number("NumberOfFrames") ?? 1) !== 1 || header.has("PerFrameFunctionalGroupsSequence")) refuse("a multi-frame file", `single frames on this page; ${SERVE}`);
  if (header.has("ModalityLUTSequence")) refuse("a modality lookup table", `RescaleSlope and RescaleIntercept on this page; ${SERVE}`);
  const photometric = header.text("PhotometricInterpretation"), samples = header.whole("SamplesPerPixel");
  const gray = samples === 1 && ["MONOCHROME1", "MONOCHROME2"].includes(photometric), rgb = samples === 3 && photometric === "RGB";
  if (!gray && !rgb) refuse(`${samples} samples per pixel as '${photometric}'`, `MONOCHROME1, MONOCHROME2 or RGB on this page; ${SERVE}`);
  const allocated = header.whole("BitsAllocated"), stored = header.whole("BitsStored"), high = header.whole("HighBit") ?? stored - 1;
  if (allocated !== 8 && !(allocated === 16 && gray)) refuse(`BitsAllocated ${allocated}`, `8, or 16 of gray, on this page; ${SERVE}`);
  if (!(stored >= 1 && stored <= allocated) || high !== stored - 1) refuse(`BitsStored ${stored} with HighBit ${high}`, `the lowest bits of ${allocated}; correct the tags`);
  const signed = header.whole("PixelRepresentation"), planar = header.whole("PlanarConfiguration");
  if (!(signed === 0 || (gray && signed === 1))) refuse(`PixelRepresentation ${signed}`, "0, or 1 of gray; correct the tag");
  if (rgb && ![0, 1].includes(planar)) refuse(`PlanarConfiguration ${planar ?? "missing"}`, "0 or 1; correct the tag");
}

function pixelsOf(header, bytes, notes) {
  const { name } = header;
  const rows = header.whole("Rows"), columns = header.whole("Columns"), samples = header.whole("SamplesPerPixel");
  const size = header.whole("BitsAllocated") / 8, count = rows * columns * samples;
  const { dataOffset, length } = header.pixels();
  if (length < count * size || length > count * size + 1 || dataOffset + count * size > bytes.length) throw new Error(`image: got ${length} bytes of pixels in ${name}, expected ${count * size} of Rows and Columns; the file is cut off, or its tags are wrong`);
  const part = bytes.slice(dataOffset, dataOffset + count * size);
  if (samples === 3) return { values: interleaved(part, header.whole("PlanarConfiguration") === 1), color: true, padding: null, units: "unstated", belowZero: false };
  const signed = header.whole("PixelRepresentation") === 1;
  const Type = size === 1 ? (signed ? Int8Array : Uint8Array) : signed ? Int16Array : Uint16Array;
  return { color: false, ...inUnits(header, new Type(part.buffer), notes) };
}

function interleaved(part, planar) {
  if (!planar) return part;
  const each = part.length / 3;
  return Uint8Array.from(part, (_, k) => part[(k % 3) * each + Math.floor(k / 3)]);
}

// Padding of the file in the sign of its pixels; a writer may have taken US for SS, or the other way round.
function paddingLimits(header, values) {
  const value = header.whole("PixelPaddingValue");
  if (value === undefined) return null;
  const bits = 8 * values.BYTES_PER_ELEMENT, signed = values instanceof Int8Array || values instanceof Int16Array;
  const ends = [value, header.whole("PixelPaddingRangeLimit") ?? value].map((end) => {
    const low = bits === 8 && end > 0xff00 ? end & 0xff : end;
    return signed && low >= 2 ** (bits - 1) ? low - 2 ** bits : low;
  });
  return [Math.min(...ends), Math.max(...ends)];
}

// Bits above BitsStored are an overlay or the like, but for padding of a value that the stored bits cannot hold.
function storedValues(values, bits, limits, notes) {
  const unused = 32 - bits, signed = values instanceof Int8Array || values instanceof Int16Array;
  let changed = false;
  for (let k = 0; k < values.length; k++) {
    const value = values[k], masked = signed ? (value << unused) >> unused : (value << unused) >>> unused;
    if (masked === value || (limits && limits[0] <= value && value <= limits[1])) continue;
    values[k] = masked;
    changed = true;
  }
  if (changed) notes.push(`bits above BitsStored ${bits} left out: an overlay or the like lies there`);
}

function inUnits(header, values, notes) {
  const { name } = header, limits = paddingLimits(header, values);
  const bits = header.whole("BitsStored");
  storedValues(values, bits, limits, notes);
  const padded = limits && Uint8Array.from(values, (value) => Number(limits[0] <= value && value <= limits[1]));
  const { slope, intercept, units } = ruleOf(header, notes);
  let scale = slope, offset = intercept;
  if (header.text("PhotometricInterpretation") === "MONOCHROME1") {
    if (units === "HU" && header.text("Modality").toUpperCase() === "CT") notes.push("MONOCHROME1 not inverted: Hounsfield units");
    else {
      // PS3.3 C.7.6.3.1.2: the minimum is displayed white; the ends of the stored bits change places.
      const signed = header.whole("PixelRepresentation") === 1, ends = signed ? -1 : 2 ** bits - 1;
      [scale, offset] = [-slope, ends * slope + intercept];
      notes.push("MONOCHROME1 inverted");
    }
  }
  const scaled = rescaledValues(values, scale, offset, name);
  return { values: scaled, units, ...intervalOf(scaled, padded, notes) };
}

function ruleOf(header, notes) {
  const slope = header.number("RescaleSlope"), intercept = header.number("RescaleIntercept");
  if (slope === 0) throw new Error(`image: got RescaleSlope 0 in ${header.name}, expected another number: it makes all pixels equal; correct it`);
  const kind = header.text("RescaleType").toUpperCase();
  if ((slope === undefined) !== (intercept === undefined)) notes.push(`${slope === undefined ? "RescaleSlope" : "RescaleIntercept"} missing, taken as ${slope === undefined ? 1 : 0}`);
  // CT images leave the type out where it is HU (C.8.2.1.1.2). US is "unspecified"; so is no intercept at all.
  return { slope: slope ?? 1, intercept: intercept ?? 0, units: intercept === undefined || kind === "US" ? "unstated" : kind || "HU" };
}

// The values that padding has come to, and whether any other is below 0 as air is in Hounsfield units.
function intervalOf(values, padded, notes) {
  let [low, high] = [Infinity, -Infinity];
  if (padded) values.forEach((value, k) => { if (padded[k]) [low, high] = [Math.min(low, value), Math.max(high, value)]; });
  let belowZero = false, shared = false;
  for (let k = 0; k < values.length; k++) {
    if (padded?.[k]) continue;
    belowZero ||= values[k] < 0 && values[k] >= -1024;
    shared ||= values[k] >= low && values[k] <= high;
  }
  if (shared) notes.push("padding has values that other pixels have, too; it stays in the window");
  return { padding: shared || low > high ? null : [Math.fround(low), Math.fround(high)], belowZero };
}

function planeOf(header, notes) {
  const position = header.numbers("ImagePositionPatient"), cosines = header.numbers("ImageOrientationPatient");
  let spacing = header.numbers("PixelSpacing");
  if (!spacing) {
    const name = ["ImagerPixelSpacing", "NominalScannedPixelSpacing"].find((keyword) => header.numbers(keyword));
    spacing = name ? header.numbers(name) : null;
    notes.push(name ? `spacing from ${name}, measured at the detector` : "pixel spacing unknown: the file has no PixelSpacing; sizes in mm are not known either");
  }
  const between = header.number("SpacingBetweenSlices") || header.number("SliceThickness");
  const [rowSpacing, columnSpacing] = spacing ?? [1, 1]; // between rows, then columns
  const directions = cosines && [cosines.slice(0, 3), cosines.slice(3)];
  return { plane: { position, directions, rowSpacing, columnSpacing, thickness: between > 0 ? between : null }, spaced: spacing !== null };
}
