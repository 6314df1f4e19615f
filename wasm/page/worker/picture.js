// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// PNG and JPEG as they are stored, by the rules of medsam_engine.io.picture: what would change samples is refused or noted.
import { convertIndexedToRgb, decode } from "fast-png";

import { IDENTITY, checkedGrid } from "./grid.js";
import { checkPng } from "./png_chunks.js";

const PNG = [0x89, 0x50, 0x4e, 0x47];

export const isPicture = (bytes) => PNG.every((byte, k) => bytes[k] === byte) || (bytes[0] === 0xff && bytes[1] === 0xd8);

export async function readPicture(bytes, name) {
  const notes = [];
  const { values, width, height, color } = bytes[0] === 0xff ? await readJpeg(bytes, name, notes) : await readPng(bytes, name, notes);
  return {
    values, shape: [height, width], color, modality: "", hounsfield: true, spaced: false, positioned: false, picture: true, notes,
    ...checkedGrid({ spacing: [1, 1, 1], origin: [0, 0, 0], direction: IDENTITY }, name),
  };
}

async function readPng(bytes, name, notes) {
  let png, colors;
  try {
    // Colors may come with a palette, too, as a hint for screens of few colors (PNG specification, 11.2.3).
    const indexed = await checkPng(bytes);
    png = decode(bytes, { checkCrc: true });
    colors = indexed ? convertIndexedToRgb(png) : null;
  } catch (error) {
    throw new Error(`image: got ${name}, expected a readable file; ${error.message}`);
  }
  const { width, height } = png;
  let { data, channels } = png;
  if (colors) {
    data = colors;
    channels = data.length / (width * height);
    notes.push("palette replaced by its colors");
  } else if (png.depth < 8) {
    throw new Error(`image: got ${png.depth}-bit values in ${name}, expected 8 or 16 bits; save it with 8 bits`);
  } else if (png.transparency) {
    throw new Error(`image: got a transparent color in ${name}, expected a PNG or JPEG image, gray or RGB; flatten it onto a background first`);
  }
  if (channels === 2 || channels === 4) {
    const opaque = png.depth === 16 ? 65535 : 255;
    for (let k = channels - 1; k < data.length; k += channels) {
      if (data[k] !== opaque) throw new Error(`image: got transparent pixels in ${name}, expected a PNG or JPEG image, gray or RGB; flatten it onto a background first`);
    }
    data = data.filter((_, k) => k % channels < channels - 1);
    channels--;
    notes.push("opaque alpha channel dropped");
  }
  const Type = png.depth === 16 ? Uint16Array : Uint8Array;
  return { values: Type.from(data), width, height, color: channels === 3 };
}

// The segments before the pixels: [marker, begin, end].
function* segments(bytes) {
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1], end = at + 2 + (bytes[at + 2] << 8) + bytes[at + 3];
    yield [marker, at, end];
    if (marker === 0xda) return;
    at = end;
  }
}

async function readJpeg(bytes, name, notes) {
  const parts = [bytes.subarray(0, 2)];
  let components = 0, rest = 2;
  for (const [marker, begin, end] of segments(bytes)) {
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) components = bytes[begin + 9];
    // EXIF would turn the picture: coordinates are those of the stored pixels. A color profile would change them.
    const left = marker === 0xe1 || marker === 0xe2;
    if (!left) parts.push(bytes.subarray(begin, end));
    if (marker === 0xe1 && !notes.length) notes.push("EXIF data left out: a turned picture is shown as its pixels are stored");
    rest = end;
  }
  parts.push(bytes.subarray(rest));
  if (components !== 1 && components !== 3) throw new Error(`image: got a JPEG of ${components} components in ${name}, expected gray or RGB; convert it first`);
  let bitmap;
  try {
    bitmap = await createImageBitmap(new Blob(parts, { type: "image/jpeg" }), { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    throw new Error(`image: got ${name}, expected a readable file; the browser cannot decode it`);
  }
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const rgba = context.getImageData(0, 0, width, height).data;
  const color = components === 3, step = color ? 3 : 1;
  const values = new Uint8Array(width * height * step);
  for (let k = 0; k < width * height; k++) for (let c = 0; c < step; c++) values[step * k + c] = rgba[4 * k + c];
  return { values, width, height, color };
}
