// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The objects as a file to keep: labels in the narrowest type, on the image's own grid.
import { encode } from "fast-png";

import { niftiFile } from "./nifti.js";
import { ENDINGS } from "./read.js";

export const formatsOf = (image) => (image.shape.length === 3 ? ["nifti"] : ["nifti", "png"]);

// `labels`: Uint16Array, k + 1 where object k is. Returns the file's name and its content.
export async function exported(format, labels, image, name) {
  const narrow = labels.every((label) => label <= 255) ? Uint8Array.from(labels) : labels;
  if (format === "nifti") return { name: `${stem(name)}_mask.nii.gz`, blob: new Blob([await niftiFile(narrow, image)]) };
  if (format !== "png" || image.shape.length !== 2) throw new Error(`format: got ${format}, expected one of ${formatsOf(image).join(", ")}`);
  const [height, width] = image.shape;
  return { name: `${stem(name)}_mask.png`, blob: new Blob([encode({ width, height, data: narrow, depth: 8 * narrow.BYTES_PER_ELEMENT, channels: 1 })]) };
}

function stem(name) {
  const lower = name.toLowerCase(), ending = ENDINGS.find((suffix) => lower.endsWith(suffix)) ?? "";
  const plain = name.slice(0, name.length - ending.length).replace(/[^A-Za-z0-9._-]+/g, "_").replace(/^[._]+|[._]+$/g, "");
  return plain.slice(0, 80) || "image";
}
