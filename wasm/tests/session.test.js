// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What a viewer asks of the package beside prompts: windows, and of a Session masks, locks, previews and propagation.
// scripts/run/test_wasm.sh sets MEDSAM_WASM_PACKAGE, MEDSAM_WASM_BUNDLE and MEDSAM_WASM_THREADS (engine.test.js).
import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { before, test } from "node:test";
import { pathToFileURL } from "node:url";

const { Engine, MedsamError } = await import(pathToFileURL(join(process.env.MEDSAM_WASM_PACKAGE, "index.js")).href);

const bundle = process.env.MEDSAM_WASM_BUNDLE;
const withWeights = { skip: bundle ? false : "MEDSAM_WASM_BUNDLE names no bundle" };
const refusal = (status, pattern) => (error) => error instanceof MedsamError && error.status === status && pattern.test(error.message);

let engine;
before(async () => {
  if (!bundle) return;
  const names = await readdir(bundle);
  const files = new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(bundle, name))])));
  engine = await Engine.load(files, { threads: Number(process.env.MEDSAM_WASM_THREADS ?? 1) });
});

const DEPTH = 5, HEIGHT = 64, WIDTH = 72;

// A bright ball on a dark ground, its middle at (40, 30, 2).
function ball() {
  const data = new Int16Array(DEPTH * HEIGHT * WIDTH);
  for (let z = 0, k = 0; z < DEPTH; z++) {
    for (let y = 0; y < HEIGHT; y++) for (let x = 0; x < WIDTH; x++, k++) data[k] = Math.hypot(x - 40, y - 30, 5 * (z - 2)) < 14 ? 150 : -50 + ((x * 7 + y * 3) % 9);
  }
  return { data, depth: DEPTH, height: HEIGHT, width: WIDTH };
}

function session() {
  const volume = ball();
  return engine.session({ ...volume, data: engine.windowed(volume).data }, { spacing: [1, 1, 5] });
}

const BOX = [24, 14, 56, 46];
const count = (mask) => mask.reduce((a, b) => a + b, 0);

test("a window maps values to bytes", withWeights, () => {
  const volume = ball();
  const full = engine.windowed(volume);
  assert.deepEqual([full.darkest, full.brightest, full.unchanged], [-50, 150, false]);
  assert.equal(full.data[volume.data.indexOf(150)], 255);
  assert.equal(full.data[volume.data.indexOf(-50)], 0);
  const dark = engine.windowed(volume, { window: "40,-30" });
  assert.deepEqual([dark.darkest, dark.brightest], [-50, -10]);
  const { width, level } = engine.info.ctWindows.abdomen;
  assert.deepEqual([width, level], [400, 40]);
  const bytes = { ...volume, data: full.data };
  assert.equal(engine.windowed(bytes).data, full.data);
  assert.ok(engine.windowed(bytes).unchanged);
  volume.data.fill(-2000, 0, 100); // padding is none of the darkest values, and black
  const padded = engine.windowed(volume, { padding: [[-2000, -2000], null, null, null, null] });
  assert.deepEqual([padded.darkest, padded.data[0]], [-50, 0]);
  assert.throws(() => engine.windowed(volume, { window: "bright" }), refusal("MEDSAM_INVALID_ARGUMENT", /window/));
  assert.throws(() => engine.windowed(volume, { padding: [null] }), refusal("MEDSAM_INVALID_ARGUMENT", /5 slices/));
});

test("a mask, a part of it, a lock, and steps", withWeights, () => {
  const made = session();
  const mask = new Uint8Array(DEPTH * HEIGHT * WIDTH);
  mask[(2 * HEIGHT + 10) * WIDTH + 7] = 1;
  assert.deepEqual(made.addMask("dot", mask), [7, 10, 2, 7, 10, 2]);
  assert.deepEqual(made.mask("dot"), mask);
  assert.deepEqual([...made.mask("dot", [6, 10, 1, 8, 10, 2])], [0, 0, 0, 0, 1, 0]);
  assert.deepEqual(made.steps(), { undo: 1, redo: 0 });
  made.undo();
  assert.deepEqual(made.steps(), { undo: 0, redo: 1 });
  made.redo();
  made.lock("dot");
  assert.ok(made.objects()[0].locked);
  assert.throws(() => made.addMask("dot", mask), refusal("MEDSAM_INVALID_ARGUMENT", /locked/));
  made.lock("dot", false);
  assert.ok(!made.objects()[0].locked);
  assert.throws(() => made.lock("none"), refusal("MEDSAM_INVALID_ARGUMENT", /none/));
  assert.throws(() => made.addMask("dot", mask.subarray(1)), refusal("MEDSAM_INVALID_ARGUMENT", /expected a Uint8Array of/));
  assert.throws(() => made.mask("dot", [0, 0, 0, WIDTH, 0, 0]), refusal("MEDSAM_INVALID_ARGUMENT", /inside 72 x 64 x 5 voxels/));
  made.close();
});

test("names of objects and numbers are taken as they are, or refused", withWeights, () => {
  const made = session(), refused = (call, pattern) => assert.throws(call, refusal("MEDSAM_INVALID_ARGUMENT", pattern));
  for (const name of ["a\0b", "\ud800", undefined, 7]) refused(() => made.addBox(name, BOX), /expected a string of whole characters without NUL/);
  assert.equal(made.objects().length, 0);
  for (const point of [undefined, [5], [1, 2, 3], ["1", 2], "12"]) refused(() => made.addClick("ball", point), /^click: got .*expected \[x, y\]$/);
  refused(() => made.addScribble("ball"), /^scribble: got nothing/);
  refused(() => made.addScribble("ball", [[1, 2], 3]), /^scribble: point 1: got 3, expected \[x, y\]$/);
  refused(() => made.addLasso("ball", [[1, 2], [3], [4, 5]]), /^lasso: point 1: got \[3\]/);
  made.close();
  for (const spacing of [[1], "1,1,1", [1, 1, 1, 1], 2]) refused(() => engine.session(ball(), { spacing }), /^spacing: got .*expected \[x, y, z\] in mm$/);
  const padding = [[1], [1, 2, 3], null, null, null]; // as many numbers as there have to be, each pair at another slice
  refused(() => engine.windowed(ball(), { padding }), /^padding\[0\]: got \[1\]/);
});

test("a preview is what a click finds, and only where a plane is encoded", withWeights, () => {
  const made = session(), plane = { axis: 0, index: 2 };
  assert.equal(made.previewClick([40, 30], plane), null);
  made.addBox("ball", BOX, plane);
  assert.equal(made.encoding().total, DEPTH);
  assert.ok(made.encoding().encoded >= 1);
  const shown = made.previewClick([40, 30], plane);
  assert.equal(shown.length, HEIGHT * WIDTH);
  assert.equal(made.objects().length, 1);
  made.addClick("other", [40, 30], { plane });
  assert.deepEqual(made.mask("other", [0, 0, 2, WIDTH - 1, HEIGHT - 1, 2]), shown);
  made.close();
});

test("a propagation tells of its planes, and ends when it is asked to", withWeights, () => {
  const made = session();
  made.addBox("ball", BOX, { axis: 0, index: 2 });
  const before = count(made.mask("ball"));
  const cancelled = () => made.propagate("ball", { cancelled: () => true });
  assert.throws(cancelled, refusal("MEDSAM_CANCELLED", /cancelled/));
  const broken = () => made.propagate("ball", { reached: () => { throw new RangeError("of the page"); } });
  assert.throws(broken, /of the page/);
  assert.throws(() => made.propagate("ball", { direction: "left" }), refusal("MEDSAM_INVALID_ARGUMENT", /direction/));
  assert.equal(count(made.mask("ball")), before);

  const seen = [], progress = [];
  made.propagate("ball", {
    progress: (done, total) => progress.push([done, total]),
    reached: (index, mask) => {
      seen.push([index, mask]);
      return false;
    },
  });
  assert.equal(seen.length, 1);
  const [index, mask] = seen[0];
  assert.deepEqual(made.mask("ball", [0, 0, index, WIDTH - 1, HEIGHT - 1, index]), mask);
  assert.ok(progress.length >= 1);
  made.undo();
  made.propagate("ball", { direction: "up", last: 3 });
  const { box } = made.objects()[0];
  assert.deepEqual([box[2], box[5]], [2, 3]);
  made.close();
});
