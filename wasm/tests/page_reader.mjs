// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The readers of the static page under node, for comparison with the package's own: for each line of standard input, a JSON
// list of files, one line with what they are read as, or with the error. tests/e2e/page_reader.py starts it.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { createInterface } from "node:readline";

import { niftiFile } from "../page/worker/nifti.js";
import { read } from "../page/worker/read.js";

const bytesOf = ({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength);

async function described(paths) {
  const files = await Promise.all(paths.map(async (path) => new File([await readFile(path)], basename(path))));
  const { values, shape, color, affine, spaced, positioned, modality, hounsfield, padding, ...image } = await read(files, "series");
  const labels = Uint8Array.from({ length: shape.reduce((product, size) => product * size) }, (_, k) => (k % 5 === 0 ? 1 + (k % 3) : 0));
  const mask = await niftiFile(labels, { shape, color, affine, spaced, positioned, ...image });
  return {
    type: values.constructor.name, digest: createHash("sha256").update(bytesOf(values)).digest("hex"), mask: bytesOf(mask).toString("base64"),
    shape, color, affine, spaced, positioned, modality, hounsfield, padding: padding?.some(Boolean) ? padding : [],
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await described(JSON.parse(line)).catch((error) => ({ error: error.message, kind: error.constructor.name }));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
