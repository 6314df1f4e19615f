// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The package under node: answers beside the native engine's (golden.py), and errors. scripts/run/test_wasm.sh sets
//   MEDSAM_WASM_PACKAGE  the assembled package
//   MEDSAM_WASM_BUNDLE   a bundle of native models; without it what needs weights is skipped
//   MEDSAM_WASM_GOLDEN   what golden.py wrote; without it the comparisons are skipped
//   MEDSAM_WASM_THREADS  of the engine that is tested: with 1 the module of one thread, with more the one with threads
import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { before, test } from "node:test";
import { pathToFileURL } from "node:url";

const { Engine, MedsamError, Session } = await import(pathToFileURL(join(process.env.MEDSAM_WASM_PACKAGE, "index.js")).href);

const bundle = process.env.MEDSAM_WASM_BUNDLE, golden = process.env.MEDSAM_WASM_GOLDEN;
const threads = Number(process.env.MEDSAM_WASM_THREADS ?? 1);
const withWeights = { skip: bundle ? false : "MEDSAM_WASM_BUNDLE names no bundle" };
const withGolden = { skip: bundle && golden ? false : "there are no native answers: no bundle, or no ../shared/data/open" };

async function bundleFiles() {
  const names = await readdir(bundle);
  return new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(bundle, name))])));
}

const refusal = (status, pattern) => (error) => error instanceof MedsamError && error.status === status && pattern.test(error.message);

let engine;
before(async () => {
  if (bundle) engine = await Engine.load(await bundleFiles(), { threads });
});

test(`the engine has ${threads} threads`, withWeights, () => assert.equal(engine.info.threads, threads));

// A bright disk on a dark ground.
function disk(size = 128) {
  const data = new Uint8Array(size * size);
  for (let y = 0; y < size; ++y) {
    for (let x = 0; x < size; ++x) data[y * size + x] = Math.hypot(x - 64, y - 60) < 24 ? 200 : 40;
  }
  return { data, height: size, width: size };
}

function dsc(a, b) {
  let both = 0, sum = 0;
  for (let i = 0; i < a.length; ++i) {
    both += a[i] & b[i];
    sum += a[i] + b[i];
  }
  return sum === 0 ? 1 : (2 * both) / sum;
}

if (golden && bundle) {
  const { cases, fingerprint } = JSON.parse(await readFile(join(golden, "cases.json"), "utf8"));
  const array = async (name, suffix, Type) => {
    const bytes = await readFile(join(golden, `${name}.${suffix}`));
    return new Type(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  };
  test("the fingerprint is the native engine's", () => assert.equal(engine.info.fingerprint, fingerprint));
  for (const { name, height, width, channels, boxes } of cases) {
    test(`${name}: embedding and masks are the native engine's`, async (t) => {
      const image = { data: await array(name, "image", Uint8Array), height, width, channels };
      const embedding = engine.encode(image);
      const got = embedding.values(), expected = await array(name, "embedding", Float32Array);
      assert.equal(got.length, expected.length);
      let largest = 0, off = 0;
      for (let i = 0; i < got.length; ++i) {
        largest = Math.max(largest, Math.abs(expected[i]));
        off = Math.max(off, Math.abs(got[i] - expected[i]));
      }
      t.diagnostic(`${name}: embedding differs by ${(off / largest).toExponential(1)} of the largest value`);
      assert.ok(off / largest < 2e-5);
      const { labels } = engine.segment(embedding, boxes), native = await array(name, "labels", Uint16Array);
      for (let k = 1; k <= boxes.length; ++k) {
        const value = dsc(labels.map((v) => Number(v === k)), native.map((v) => Number(v === k)));
        t.diagnostic(`${name}: box ${k}: DSC ${value.toFixed(6)}`);
        assert.ok(native.includes(k) && value >= 0.9999);
      }
      const session = engine.session(image);
      session.addBox("object", boxes[0]);
      const value = dsc(session.mask("object"), await array(name, "session", Uint8Array));
      t.diagnostic(`${name}: session: DSC ${value.toFixed(6)}`);
      assert.ok(value >= 0.9999);
      session.close();
      embedding.close();
    });
  }
} else {
  test("embedding and masks are the native engine's", withGolden, () => {});
}

test("a box finds a disk", withWeights, () => {
  const { labels, objects } = engine.segment(disk(), [[38, 34, 90, 86]]);
  assert.equal(labels.reduce((a, b) => a + b, 0), objects[0].area);
  const expected = disk().data.map((v) => Number(v > 100));
  assert.ok(dsc(labels, expected) > 0.9);
});

// Bytes, so that a NaN or the sign of a zero counts.
const bytes = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);

test("no result depends on the number of threads", withWeights, async () => {
  const others = await Promise.all([1, 2, 3].map(async (count) => Engine.load(await bundleFiles(), { threads: count })));
  assert.deepEqual(others.map((other) => other.info.threads), [1, 2, 3]);
  // Of other sizes than the model's, in gray and in color, so that each step before it runs, too.
  const { data, height, width } = disk(200);
  const rgb = Uint8Array.from({ length: 3 * 90 * 140 }, (_, i) => (i * 31 + (i >> 7) * 5) & 255);
  for (const image of [{ data, height, width }, { data: rgb, height: 90, width: 140, channels: 3 }]) {
    const answers = others.map((other) => {
      const embedding = other.encode(image), box = [12, 20, 71, 66];
      const { labels, objects } = other.segment(embedding, [box, [5, 5, 60, 80]]);
      const prediction = other.predict(embedding, { box }, { multimask: true }), session = other.session(image);
      session.addBox("object", box);
      return { embedding: embedding.values(), labels, objects, logits: prediction.logits(), mask: session.mask("object") };
    });
    for (const answer of answers.slice(1)) {
      for (const name of ["embedding", "labels", "logits", "mask"]) assert.ok(bytes(answer[name]).equals(bytes(answers[0][name])), name);
      assert.deepEqual(answer.objects, answers[0].objects);
    }
    assert.ok(answers[0].labels.some((label) => label > 0));
  }
});

test("an embedding is not taken into another module's memory", withWeights, async () => {
  const other = await Engine.load(await bundleFiles(), { threads: threads === 1 ? 2 : 1 });
  const embedding = other.encode(disk());
  const expected = refusal("MEDSAM_INVALID_ARGUMENT", /several.*encode the image with this engine/);
  assert.throws(() => engine.segment(embedding, [[38, 34, 90, 86]]), expected);
  assert.throws(() => engine.predict(embedding, { box: [38, 34, 90, 86] }), expected);
});

test("a number of threads that none can be is refused", async () => {
  for (const count of [-1, 65, 1.5, "2", NaN]) {
    await assert.rejects(Engine.load({}, { threads: count }), refusal("MEDSAM_INVALID_ARGUMENT", /threads: got .*expected a whole number from 0 to 64/));
  }
});

test("every precision but f32 is refused", withWeights, async () => {
  for (const precision of ["bf16", "f16", "int8", "f32/bf16", "", null, 32]) {
    await assert.rejects(Engine.load({}, { precision }), refusal("MEDSAM_UNSUPPORTED", /^precision: got .*, expected "f32" or "auto".*$/));
  }
  const auto = await Engine.load(await bundleFiles(), { threads, precision: "auto" });
  assert.equal(auto.info.precision, "f32");
});

test("more memory than there are addresses is refused, and is not a smaller number", async () => {
  const { withMemory } = await import(pathToFileURL(join(process.env.MEDSAM_WASM_PACKAGE, "module.js")).href);
  const module = { _malloc: () => 16, _free() {} };
  assert.throws(() => withMemory(module, (memory) => memory.take(2 ** 32 + 8)), refusal("MEDSAM_OUT_OF_MEMORY", /4294967304 bytes/));
  assert.equal(withMemory(module, (memory) => memory.take(2 ** 32 - 1)), 16);
});

test("after a failure, the module's memory is used no more", async () => {
  const { destroy, withMemory } = await import(pathToFileURL(join(process.env.MEDSAM_WASM_PACKAGE, "module.js")).href);
  const expected = refusal("MEDSAM_BACKEND_ERROR", /has failed \(unreachable\).*reload the page/);
  let calls = 0;
  const module = { _malloc: () => 16, _free: () => calls++, _destroyed: () => calls++ };
  assert.throws(() => withMemory(module, () => { throw new RangeError("of the caller"); }), /of the caller/);
  assert.throws(() => withMemory(module, (memory) => {
    memory.take(8);
    throw new WebAssembly.RuntimeError("unreachable");
  }), expected);
  assert.throws(() => withMemory(module, () => calls++), expected);
  destroy(module, "_destroyed", 1);
  assert.equal(calls, 0);
  assert.equal(withMemory({ ...module }, () => "another module"), "another module");
});

test("predict has logits, masks and estimates", withWeights, () => {
  const embedding = engine.encode(disk());
  const prediction = engine.predict(embedding, { box: [38, 34, 90, 86] }, { multimask: true });
  assert.deepEqual(prediction.logitsShape, [3, ...engine.info.maskShape]);
  assert.equal(prediction.logits().length, 3 * 256 * 256);
  assert.equal(prediction.iou().length, 3);
  assert.equal(prediction.mask(2).length, 128 * 128);
  assert.throws(() => prediction.mask(3), refusal("MEDSAM_INVALID_ARGUMENT", /expected a number from 0 to 2/));
  prediction.close();
  assert.throws(() => prediction.mask(), refusal("MEDSAM_INVALID_ARGUMENT", /closed/));
});

test("a session has boxes, clicks, undo and objects", withWeights, () => {
  const session = engine.session({ ...disk(), depth: 1 }, { spacing: [0.5, 0.5, 1] });
  assert.ok(session instanceof Session);
  const changed = session.addBox("disk", [38, 34, 90, 86]);
  assert.ok(changed[3] >= changed[0]);
  const [object] = session.objects();
  const area = session.mask("disk").reduce((a, b) => a + b, 0);
  assert.deepEqual([object.name, object.voxels, object.prompts], ["disk", area, 1]);
  session.addClick("disk", [64, 60], { positive: false });
  assert.equal(session.mask("disk")[60 * 128 + 64], 0);
  session.undo();
  assert.equal(session.mask("disk").reduce((a, b) => a + b, 0), area);
  session.redo();
  assert.equal(session.labels()[60 * 128 + 64], 0);
  session.remove("disk");
  assert.equal(session.objects().length, 0);
  assert.throws(() => session.mask("disk"), refusal("MEDSAM_INVALID_ARGUMENT", /disk/));
  session.close();
  session.close();
  assert.throws(() => session.objects(), refusal("MEDSAM_INVALID_ARGUMENT", /closed/));
});

test("images of wrong sizes and types are refused", withWeights, () => {
  const encode = (image) => () => engine.encode(image);
  const data = new Uint8Array(12);
  assert.throws(encode({ data, height: 3, width: 5 }), refusal("MEDSAM_INVALID_ARGUMENT", /got 12 samples, expected 15/));
  assert.throws(encode({ data, height: 0, width: 5 }), refusal("MEDSAM_INVALID_ARGUMENT", /height 0/));
  assert.throws(encode({ data: [1, 2], height: 1, width: 2 }), refusal("MEDSAM_INVALID_ARGUMENT", /type Array/));
  assert.throws(encode({ data, height: 2, width: 3, channels: 2 }), refusal("MEDSAM_INVALID_ARGUMENT", /channels/));
  assert.throws(encode({ data: new Float32Array([NaN, 1]), height: 1, width: 2 }), refusal("MEDSAM_INVALID_ARGUMENT", /finite/));
});

test("boxes outside the image, reversed, and of wrong length are refused", withWeights, () => {
  const segment = (box) => () => engine.segment(disk(), [box]);
  assert.throws(segment([0, 0, 500, 20]), refusal("MEDSAM_INVALID_ARGUMENT", /box/));
  assert.throws(segment([30, 30, 20, 40]), refusal("MEDSAM_INVALID_ARGUMENT", /box/));
  assert.throws(segment([1, 2, 3]), refusal("MEDSAM_INVALID_ARGUMENT", /expected \[x0, y0, x1, y1\]/));
  assert.throws(segment([NaN, 0, 5, 5]), refusal("MEDSAM_INVALID_ARGUMENT", /box/));
  assert.throws(() => engine.segment(disk()), refusal("MEDSAM_INVALID_ARGUMENT", /^boxes: got nothing/));
});

test("a prompt that the weights were not trained with is refused", withWeights, () => {
  const embedding = engine.encode(disk());
  assert.throws(() => engine.predict(embedding, { points: [{ x: 1, y: 1, label: 1 }] }), refusal("MEDSAM_UNSUPPORTED", /trained/));
});

test("a bundle without a manifest is refused", async () => {
  await assert.rejects(Engine.load({}), refusal("MEDSAM_MODEL_ERROR", /manifest\.json/));
  await assert.rejects(Engine.load({ "../x": new Uint8Array(1) }), refusal("MEDSAM_INVALID_ARGUMENT", /plain file name/));
  await assert.rejects(Engine.load({ "manifest.json": "{}" }), refusal("MEDSAM_INVALID_ARGUMENT", /expected a Uint8Array/));
});

test("an address that is none, or does not answer, is refused", async () => {
  for (const address of ["bundle/", undefined, "file:///bundle/"]) {
    await assert.rejects(Engine.fetch(address), refusal("MEDSAM_INVALID_ARGUMENT", /^bundle: got the address .*expected one of http or https/));
  }
  await assert.rejects(Engine.fetch("http://127.0.0.1:9/"), refusal("MEDSAM_MODEL_ERROR", /manifest\.json: got no answer/));
  await assert.rejects(Engine.load(null), refusal("MEDSAM_INVALID_ARGUMENT", /^bundle: got null/));
});

test("graphs are refused with what to do", async () => {
  const folder = new URL("../../tests/data/tiny_bundle/", import.meta.url);
  const files = new Map();
  for (const name of await readdir(folder)) files.set(name, await readFile(new URL(name, folder)));
  await assert.rejects(Engine.load(files), refusal("MEDSAM_UNSUPPORTED", /WebAssembly; use a bundle without graphs/));
});

test("damaged and missing weights are refused", withWeights, async () => {
  const files = await bundleFiles();
  const encoder = Uint8Array.from(files.get("encoder.fused.safetensors"));
  encoder[encoder.length - 5] ^= 1;
  await assert.rejects(Engine.load(new Map(files).set("encoder.fused.safetensors", encoder)), refusal("MEDSAM_MODEL_ERROR", /SHA-256/));
  files.delete("decoder.fused.safetensors");
  await assert.rejects(Engine.load(files), refusal("MEDSAM_MODEL_ERROR", /decoder\.fused\.safetensors/));
});

test("an engine that was closed is refused", withWeights, async () => {
  const other = await Engine.load(await bundleFiles(), { profile: "" });
  assert.equal(other.info.profile, "litemedsam");
  other.close();
  assert.throws(() => other.encode(disk()), refusal("MEDSAM_INVALID_ARGUMENT", /closed/));
});
