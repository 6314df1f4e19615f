// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Files as a person has chosen them, as one image: its values and the grid they lie on.
import { isDicom, readDicom } from "./dicom.js";
import { readNifti } from "./nifti.js";
import { isPicture, readPicture } from "./picture.js";

export const ENDINGS = [".nii.gz", ".nii", ".dicom", ".dcm", ".ima", ".png", ".jpeg", ".jpg"];
const ELSEWHERE = [".nrrd", ".nhdr", ".mha", ".mhd", ".tif", ".tiff", ".npz"]; // what the package reads, too

const bytesOf = async (file) => new Uint8Array(await file.arrayBuffer());

export async function read(files, name) {
  if (files.length > 1) return readDicom(await Promise.all(files.map(async (file) => ({ name: file.name, bytes: await bytesOf(file) }))), name);
  const [file] = files, lower = file.name.toLowerCase();
  const other = ELSEWHERE.find((ending) => lower.endsWith(ending));
  if (other) throw new Error(`image: got a ${other} file, expected NIfTI, DICOM, PNG or JPEG on this page; medsam-engine serve reads it, or convert it`);
  const bytes = await bytesOf(file);
  if (lower.endsWith(".nii") || lower.endsWith(".nii.gz")) return readNifti(bytes, file.name);
  if (isPicture(bytes)) return readPicture(bytes, file.name);
  if (isDicom(bytes)) return readDicom([{ name: file.name, bytes }], name);
  throw new Error(`image: got ${file.name}, expected .nii[.gz], .png, .jpg, a DICOM file or a folder of them; its name and content are none of these`);
}
