// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Files as a person has chosen them, as one image: its values and the grid they lie on.
import { isDicom, readDicom } from "./dicom.js";
import { readNifti } from "./nifti.js";
import { isPicture, readPicture } from "./picture.js";

export const ENDINGS = [".nii.gz", ".nii", ".dicom", ".dcm", ".ima", ".png", ".jpeg", ".jpg"];
const SINGLE = [".nii.gz", ".nii", ".png", ".jpeg", ".jpg"]; // each is an image of its own
const ELSEWHERE = [".nrrd", ".nhdr", ".mha", ".mhd", ".tif", ".tiff", ".npz"]; // what the package reads, too

const LARGEST = 2 ** 31 - 1; // bytes of a file that Chromium reads at once

async function bytesOf(file) {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch (error) {
    if (file.size > LARGEST) throw new Error(`image: got ${file.name} of ${(file.size / 1e9).toFixed(2)} GB, expected at most ${Math.floor(LARGEST / 1e7) / 100} GB, which is what a browser reads at once; crop it, or open it in medsam-engine serve`);
    throw new Error(`image: got ${file.name}, expected a file that the browser can read; it was changed, moved or deleted after it was chosen, or you may not read it (${error.message}); choose it again`);
  }
}

export async function read(files, name) {
  if (files.length > 1) {
    const single = files.find((file) => SINGLE.some((ending) => file.name.toLowerCase().endsWith(ending)));
    const all = await Promise.all(files.map(async (file) => ({ name: file.name, bytes: await bytesOf(file) })));
    if (single && !all.some(({ bytes }) => isDicom(bytes))) throw new Error(`image: got ${files.length} files, ${single.name} among them, expected one, or the files of one DICOM series; open them one after another`);
    return readDicom(all, name);
  }
  const [file] = files, lower = file.name.toLowerCase();
  const other = ELSEWHERE.find((ending) => lower.endsWith(ending));
  if (other) throw new Error(`image: got a ${other} file, expected NIfTI, DICOM, PNG or JPEG on this page; medsam-engine serve reads it, or convert it`);
  const bytes = await bytesOf(file);
  if (lower.endsWith(".nii") || lower.endsWith(".nii.gz")) return readNifti(bytes, file.name);
  if (isPicture(bytes)) return readPicture(bytes, file.name);
  if (isDicom(bytes)) return readDicom([{ name: file.name, bytes }], name);
  throw new Error(`image: got ${file.name}, expected .nii[.gz], .png, .jpg, a DICOM file or a folder of them; its name and content are none of these`);
}
